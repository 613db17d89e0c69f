"""What a task's `run` returns: named values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

__all__ = ["Struct"]


class Struct(SimpleNamespace):
    """Named values, read as attributes.

    Parameters
    ----------
    **keyArgs
        The values by name. No name may begin with two underscores.

    Raises
    ------
    RuntimeError
        A name begins with two underscores.

    Examples
    --------
    >>> from armillary.pipeline import Struct
    >>> result = Struct(image=[1, 2], background=0.5)
    >>> result.background
    0.5
    >>> result
    Struct(image=[1, 2]; background=0.5)
    >>> len(result)
    2

    """

    def __init__(self, **keyArgs: Any) -> None:
        for name in keyArgs:
            if name.startswith("__"):
                raise RuntimeError(f"`{name}` cannot name an item of a Struct: it begins with two underscores")
        super().__init__(**keyArgs)

    def getDict(self) -> dict[str, Any]:
        """Return a new dictionary of the items; the values are not copied.

        >>> Struct(a=1).getDict()
        {'a': 1}
        """
        return dict(self.__dict__)

    def mergeItems(self, struct: Struct, *nameList: str) -> None:
        """Take the named items over from another `Struct`.

        Raises
        ------
        RuntimeError
            An item of that name is here already; nothing is merged from it on.
        AttributeError
            The other one has no item of that name.

        >>> result = Struct(a=1)
        >>> result.mergeItems(Struct(b=2, c=3), "c")
        >>> result
        Struct(a=1; c=3)

        """
        for name in nameList:
            if hasattr(self, name):
                raise RuntimeError(f"item `{name}` is in this Struct already")
            setattr(self, name, getattr(struct, name))

    def copy(self) -> Struct:
        """Return a new `Struct` with the same values.

        >>> Struct(a=1).copy() == Struct(a=1)
        True
        """
        return Struct(**self.getDict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Struct) and self.__dict__ == other.__dict__

    __hash__ = None  # mutable

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"Struct({'; '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"
