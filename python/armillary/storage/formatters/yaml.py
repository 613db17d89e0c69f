"""YAML files."""

from __future__ import annotations

from typing import Any

import yaml

from armillary import _core
from armillary._yaml import TIMESTAMP_TAG, read_time
from armillary.errors import ValidationError
from armillary.storage.formatter import BytesFormatter
from armillary.storage.formatters._plain import from_plain, to_plain

__all__ = ["YamlFormatter"]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Dumper: Any = getattr(yaml, "CDumper", yaml.Dumper)
_CONSTRUCTORS: dict[str, Any] = {TIMESTAMP_TAG: read_time}


class YamlFormatter(BytesFormatter):
    """Write mappings, lists and objects made of them as YAML; reading never makes objects a file names.

    The write parameter `unsafe_dump` writes any Python object by the names of its parts.
    """

    default_extension = ".yaml"
    supported_write_parameters = frozenset({"unsafe_dump"})

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Keep the order of keys. Raises `yaml.YAMLError` for values YAML does not have."""
        unsafe = self.write_parameters.get("unsafe_dump", False)
        plain = None if unsafe else _core.write_yaml(in_memory_dataset)
        if plain is not None:
            return plain.encode()
        dumper = _Dumper if unsafe else _SafeDumper
        value = in_memory_dataset if unsafe else to_plain(in_memory_dataset)
        text: bytes = yaml.dump(value, Dumper=dumper, sort_keys=False, default_flow_style=False, encoding="utf-8")
        return text

    def from_bytes(self, content: bytes) -> Any:
        """Read plain values and give them to the Python type. Raises `yaml.YAMLError` if the file is not YAML."""
        try:  # ten times as fast; it knows no sets and pairs
            value = _core.read_yaml(content.decode(), source="", constructors=_CONSTRUCTORS)
        except (ValidationError, UnicodeDecodeError):
            value = yaml.load(content, Loader=_Loader)
        return from_plain(value, self.file_descriptor.storageClass.pytype)
