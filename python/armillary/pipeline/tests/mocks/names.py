"""How mocks are called: as what they stand for, behind a prefix."""

from __future__ import annotations

from armillary.storage.storage_class import MOCK_PREFIX

__all__ = ["get_mock_name", "get_original_name", "is_mock_name"]


def get_mock_name(original: str) -> str:
    """Return the name of the mock of a task, dataset type or storage class.

    >>> get_mock_name("calexp")
    '_mock_calexp'
    """
    return MOCK_PREFIX + original


def get_original_name(mock: str) -> str:
    """Return the name that a mock stands for.

    Raises
    ------
    ValueError
        It is not the name of a mock.

    >>> get_original_name("_mock_calexp.wcs")
    'calexp.wcs'
    """
    if not is_mock_name(mock):
        raise ValueError(f"`{mock}` is not the name of a mock: it does not begin with `{MOCK_PREFIX}`")
    return mock.removeprefix(MOCK_PREFIX)


def is_mock_name(name: str | None) -> bool:
    """Tell whether a name is that of a mock.

    >>> is_mock_name("calexp")
    False
    """
    return name is not None and name.startswith(MOCK_PREFIX)
