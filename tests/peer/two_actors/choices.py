"""Random choices with a seed, combined as those of hypothesis are.

Hypothesis is made to find the least example that fails; of long programs it makes few, and of those many that repeat
one choice. Here each choice is as likely as another, so that a few hundred steps meet everything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any


class Choice:
    """Something that a generator of random numbers decides."""

    def __init__(self, draw: Callable[[random.Random], Any]):
        self.draw = draw

    def __or__(self, other: Choice) -> Choice:
        return Choice(lambda chance: (self if chance.random() < 0.5 else other).draw(chance))


def sampled_from(items: Sequence[Any]) -> Choice:
    """One of some items."""
    return Choice(lambda chance: chance.choice(items))


def booleans() -> Choice:
    """Yes or no."""
    return sampled_from([False, True])


def none() -> Choice:
    """Nothing."""
    return sampled_from([None])


def lists(of: Choice, max_size: int) -> Choice:
    """One to so many different items, equal ones left out."""

    def draw(chance: random.Random) -> list[Any]:
        found = [of.draw(chance) for _ in range(chance.randint(1, max_size))]
        return list({json.dumps(item): item for item in found}.values())

    return Choice(draw)
