"""Every refusal of a query, word for word: `refusals.txt` holds what is asked, and the class and text of the error.

`python -m query.test_refusals REPOSITORY` (in the folder `tests`) writes the file anew; read what changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import armillary.errors
from armillary.butler import Butler

FILE = Path(__file__).with_name("refusals.txt")
REFUSALS = re.findall(r"^> (.+)\n((?:(?!> ).*\n)+)", FILE.read_text() if FILE.exists() else "", re.MULTILINE)


def names(butler: Butler) -> dict[str, Any]:
    with butler.query() as query:
        return {"butler": butler, "registry": butler.registry, "query": query, "x": query.expression_factory}


def refusal(question: str, butler: Butler) -> str:
    """Ask, and give the class and text of the error."""
    try:
        answer = eval(question, names(butler))
        answered = answer if isinstance(answer, (bool, int)) else list(answer)
    except Exception as error:
        text = error.args[0] if isinstance(error, KeyError) and not str(error).startswith(str(error.args[0])) else error
        return f"{type(error).__name__}: {text}"
    return f"answered with {answered}"


def test_the_file_holds_the_refusals():
    assert len(REFUSALS) >= 60


@pytest.mark.parametrize(("question", "expected"), REFUSALS, ids=[question for question, _ in REFUSALS])
def test_a_refusal_says_this(butler, question, expected):
    assert refusal(question, butler) == expected.rstrip("\n")


def test_errors_of_queries_are_the_users():
    for question, expected in REFUSALS:
        name = expected.partition(":")[0]
        if hasattr(armillary.errors, name):
            kind = getattr(armillary.errors, name)
            assert issubclass(kind, (armillary.errors.ButlerUserError, armillary.errors.RegistryError)) or name in (
                "EmptyQueryResultError",
                "NoDefaultCollectionError",
            ), question
        else:
            assert name in ("AttributeError", "ValueError"), question


if __name__ == "__main__":
    with Butler(sys.argv[1]) as asked:
        questions = [line[2:] for line in FILE.read_text().splitlines() if line.startswith("> ")]
        FILE.write_text("\n".join(f"> {question}\n{refusal(question, asked)}\n" for question in questions))
