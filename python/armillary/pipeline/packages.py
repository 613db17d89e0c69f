"""The software versions of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Packages"]

YAML_TAG = "lsst.utils.packages.Packages"
"""The tag under which versions are stored in YAML files; the peer reads and writes the same."""


class Packages(dict[str, str]):
    """Versions of software by name.

    Examples
    --------
    >>> from armillary.pipeline.packages import Packages
    >>> before = Packages({"numpy": "2.1", "astropy": "7.0"})
    >>> after = Packages({"numpy": "2.2", "pyyaml": "6.0"})
    >>> before.difference(after)
    {'numpy': ('2.1', '2.2')}
    >>> sorted(before.missing(after))
    ['pyyaml']
    """

    def __init__(self, packages: Mapping[str, str] | None = None) -> None:
        given = packages or {}
        if not isinstance(given, Mapping):
            raise TypeError(f"package versions are a mapping from names to versions, not `{type(given).__name__}`")
        super().__init__({str(name): str(version) for name, version in given.items()})

    @classmethod
    def fromSystem(cls, include_all: bool = False) -> Packages:
        """Return the versions of Python and of the packages that are imported.

        Parameters
        ----------
        include_all
            Whether to list every installed distribution, imported or not.

        Examples
        --------
        >>> Packages.fromSystem()["python"].startswith("3.")
        True
        """
        from importlib.metadata import distributions

        versions = {"python": sys.version}  # with compiler and build, as the peer has it
        imported = {name.partition(".")[0] for name in sys.modules}
        for distribution in distributions():
            name = distribution.metadata["Name"]
            if name and (include_all or _is_imported(name, distribution, imported)):
                versions[name] = distribution.version
        from armillary import _core

        versions.setdefault("armillary", str(getattr(_core, "__version__", "0")))
        return cls(dict(sorted(versions.items())))

    @classmethod
    def fromBytes(cls, data: bytes, format: str) -> Packages:
        """Read the stored form; `format` is `yaml` or `json`.

        Raises
        ------
        ValueError
            The format is unknown, or the data are not package versions.
        """
        if format == "json":
            import json

            return cls(_checked(json.loads(data)))
        if format == "yaml":
            import yaml

            class Loader(yaml.SafeLoader):
                """Reads the tagged mapping."""

            Loader.add_constructor(YAML_TAG, _mapping_of_node)
            return cls(_checked(yaml.load(data, Loader=Loader)))
        raise ValueError(f"package versions are not stored as `{format}`; use `yaml` or `json`")

    def toBytes(self, format: str) -> bytes:
        r"""Return the stored form; `format` is `yaml` or `json`.

        Raises
        ------
        ValueError
            The format is unknown.

        Examples
        --------
        >>> Packages({"numpy": "2.1"}).toBytes("yaml")
        b"!<lsst.utils.packages.Packages>\nnumpy: '2.1'\n"
        """
        if format == "json":
            import json

            return json.dumps(dict(self)).encode()
        if format == "yaml":
            import yaml

            text: str = yaml.safe_dump(dict(self), default_flow_style=False)
            return f"!<{YAML_TAG}>\n{text}".encode() if self else f"!<{YAML_TAG}> {{}}\n".encode()
        raise ValueError(f"package versions are not stored as `{format}`; use `yaml` or `json`")

    def difference(self, other: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Return the versions here and there of what differs."""
        return {name: (self[name], other[name]) for name in self if name in other and self[name] != other[name]}

    def extra(self, other: Mapping[str, str]) -> dict[str, str]:
        """Return what is here but not there."""
        return {name: version for name, version in self.items() if name not in other}

    def missing(self, other: Mapping[str, str]) -> dict[str, str]:
        """Return what is there but not here."""
        return {name: version for name, version in other.items() if name not in self}

    def __repr__(self) -> str:
        return f"Packages({dict(self)!r})"

    def __str__(self) -> str:
        return "Packages({\n" + "".join(f"{name}: {version!r},\n" for name, version in self.items()) + "})"


def _is_imported(name: str, distribution: Any, imported: set[str]) -> bool:
    guess = name.replace("-", "_")
    if guess in imported or guess.lower() in imported:
        return True
    # A distribution such as `lsst-sphgeom` holds a part of a namespace: compare the dotted form, too.
    if name.startswith("lsst-"):
        return name.replace("-", ".") in sys.modules
    text = distribution.read_text("top_level.txt")
    return any(line.strip() in imported for line in _lines(text))


def _lines(text: str | None) -> Iterable[str]:
    return text.splitlines() if text else ()


def _mapping_of_node(loader: Any, node: Any) -> Any:
    return loader.construct_mapping(node, deep=True)


def _checked(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"package versions are a mapping from names to versions; the file holds {value!r}")
    return value
