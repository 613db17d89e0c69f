"""Words for messages: the nearest known name, lists in prose."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name most like `name`, or None when none is close.

    >>> nearest("detectr", ["visit", "detector"])
    'detector'
    >>> nearest("xyz", ["visit", "detector"]) is None
    True
    """
    import difflib  # 3 ms to import, needed only when something went wrong

    candidates = sorted(set(known))
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(candidate.casefold(), candidate)
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a message: `; did you mean `x`?`, or nothing.

    >>> "no dimension is called `vist`" + did_you_mean("vist", ["visit"])
    'no dimension is called `vist`; did you mean `visit`?'
    """
    near = nearest(name, known)
    return f"; did you mean `{near}`?" if near is not None else ""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with what it counts.

    >>> counted(1, "dataset"), counted(2, "dataset"), counted(1, "quantum", "quanta")
    ('1 dataset', '2 datasets', '1 quantum')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def these(number: int, noun: str) -> str:
    """Point at things that were just listed.

    >>> these(1, "run"), these(3, "run")
    ('this run', 'these 3 runs')
    """
    return f"this {noun}" if number == 1 else f"these {counted(number, noun)}"
