"""Files of package versions."""

from __future__ import annotations

import json
import pickle
from typing import Any

import yaml

from armillary.storage.formatter import BytesFormatter
from armillary.storage.formatters.pickle import restricted_loads

__all__ = ["PackagesFormatter"]

_TAG = "lsst.utils.packages.Packages"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_EXTENSIONS = {"yaml": ".yaml", "json": ".json", "pickle": ".pickle", "pkl": ".pickle"}


class _TaggedLoader(_Loader):  # type: ignore[misc]
    """The safe loader, which also takes the tag for the plain mapping it is."""


class _TaggedDumper(_SafeDumper):  # type: ignore[misc]
    """The safe dumper, which also writes the tag."""


class _Versions(dict[str, str]):
    """A mapping that is written with the tag."""


_TaggedLoader.add_constructor(_TAG, lambda loader, node: loader.construct_mapping(node))
_TaggedDumper.add_representer(_Versions, lambda dumper, value: dumper.represent_mapping(_TAG, value))


class PackagesFormatter(BytesFormatter):
    """Write package names and versions as YAML, JSON or pickle, by the write parameter `format`."""

    supported_write_parameters = frozenset({"format"})
    supported_extensions = frozenset({".yaml", ".json", ".pickle", ".pkl"})

    def _format(self) -> str:
        chosen = str(self.write_parameters.get("format", "yaml"))
        if chosen not in _EXTENSIONS:
            raise ValueError(f"package versions cannot be written as `{chosen}`; use one of {sorted(_EXTENSIONS)}")
        return chosen

    def get_write_extension(self) -> str:
        """The extension of the chosen format."""
        return _EXTENSIONS[self._format()]

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Write the mapping, names in alphabetical order where the format is text."""
        versions = {str(name): str(version) for name, version in sorted(dict(in_memory_dataset).items())}
        if self._format() == "yaml":
            text: bytes = yaml.dump(
                _Versions(versions), Dumper=_TaggedDumper, default_flow_style=False, encoding="utf-8"
            )
            return text
        if self._format() == "json":
            return json.dumps(versions).encode()
        return pickle.dumps(versions, protocol=pickle.HIGHEST_PROTOCOL)

    def from_bytes(self, content: bytes) -> Any:
        """Read by what the file is, whatever it is called."""
        if content[:1] == b"\x80":
            versions = restricted_loads(content)
        elif content.lstrip()[:1] == b"{":
            versions = json.loads(content)
        else:
            versions = yaml.load(content, Loader=_TaggedLoader)
        if not isinstance(versions, dict):
            raise ValueError("the file does not hold a mapping of package names to versions")
        return self.file_descriptor.storageClass.pytype(versions)
