import doctest
import pickle

import pytest

import armillary._words
import armillary.errors as errors
from armillary._words import did_you_mean, nearest

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_the_list_is_sorted_and_complete():
    defined = {
        name for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException) and not name.startswith("_")
    }  # fmt: skip
    assert errors.__all__ == sorted(defined)
    assert len(defined) > 70


@pytest.mark.parametrize("cls", CLASSES, ids=errors.__all__)
def test_one_string_makes_one_and_is_what_people_read(cls):
    error = cls("no `x` here")
    assert str(error) == "no `x` here"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert issubclass(cls, Exception)


def test_kinds_are_distinct_and_user_errors_tell_theirs():
    kinds = [cls.kind for cls in CLASSES]
    assert len(set(kinds)) == len(kinds)
    for cls in CLASSES:
        if issubclass(cls, errors.ButlerUserError) and cls is not errors.ButlerUserError:
            assert cls.error_type == cls.kind


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = [line for line in errors.__doc__.splitlines() if line.startswith("    ")]
    names = [line.strip(" │├└─").split()[0] for line in drawn]
    assert sorted(names) == errors.__all__
    above: list[str] = []
    for line, name in zip(drawn, names, strict=True):
        depth = (len(line) - len(line.lstrip(" │├└─")) - 4) // 4
        above[depth:] = [name]
        if depth:
            assert issubclass(getattr(errors, name), getattr(errors, above[depth - 1])), name


def test_reasons_of_an_empty_result():
    error = errors.EmptyQueryResultError(["no `bias` in `u/run`", "detector 77 is unknown"])
    assert str(error) == "Possible reasons for empty result:\nno `bias` in `u/run`\ndetector 77 is unknown"
    assert error.reasons == ["no `bias` in `u/run`", "detector 77 is unknown"]
    assert errors.EmptyQueryResultError("nothing").reasons == ["nothing"]


def test_the_nearest_name():
    assert nearest("Detector", ["visit", "detector"]) == "detector"
    assert nearest("", ["visit"]) is None
    assert nearest("visit", []) is None
    assert did_you_mean("zzz", ["visit"]) == ""


@pytest.mark.parametrize("module", [errors, armillary._words])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
