"""Task configurations as the Python text that `lsst.pex.config` writes.

That text is a program. It is read only if it is what a saved configuration is: imports, the assertion of its class, and
settings of plain values. Nothing else in such a file is run.
"""

from __future__ import annotations

import ast
import io
from typing import Any, NoReturn

from armillary.errors import UntrustedContentError
from armillary.storage.formatter import BytesFormatter
from armillary.storage.named_objects import import_object

__all__ = ["PexConfigFormatter", "check_saved_config"]

_SAFE_CALLS = {"float", "complex", "set", "frozenset"}
# Methods of configuration fields that saved configurations call, on something that begins with `config`.
_SAFE_METHODS = {"retarget"}
# A list of floats is written with these bare names.
_NUMBERS = {"inf": float("inf"), "nan": float("nan")}


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return None if head is None else f"{head}.{node.attr}"
    return None


class _Checker:
    """Refuse every statement that a saved configuration does not have."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.made: list[str] = []
        self.class_name: str | None = None

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import) and all(alias.asname is None for alias in node.names):
            self.modules.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.Assert):
            self._assertion(node)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self._target(node.targets[0])
            self._value(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._call_on_config(node.value)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            self._refuse(node)

    def _assertion(self, node: ast.Assert) -> None:
        """The class is asserted as `type(config) is module.Class`, in older files as `type(config)==module.Class`."""
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
            self._refuse(node)
        name = _dotted(test.comparators[0])
        if ast.unparse(test.left) != "type(config)" or name is None or not isinstance(test.ops[0], ast.Is | ast.Eq):
            self._refuse(node)
        if self.class_name is None:
            self.class_name = name

    def _target(self, node: ast.expr) -> None:
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Subscript):
                self._value(node.slice)
            elif node.attr.startswith("__"):
                self._refuse(node)
            node = node.value
        if not (isinstance(node, ast.Name) and node.id in ("config", "root")):
            self._refuse(node)

    def _call_on_config(self, node: ast.Call) -> None:
        if not (isinstance(node.func, ast.Attribute) and node.func.attr in _SAFE_METHODS):
            self._refuse(node)
        self._target(node.func.value)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self._value(argument)

    def _value(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in _NUMBERS):
            return
        if isinstance(node, ast.UnaryOp):
            self._value(node.operand)
        elif isinstance(node, ast.BinOp):  # a complex number is written as a sum
            self._value(node.left)
            self._value(node.right)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                self._value(item)
        elif isinstance(node, ast.Dict):
            for item in [*(key for key in node.keys if key is not None), *node.values]:
                self._value(item)
        elif isinstance(node, ast.Call) and _dotted(node.func) in _SAFE_CALLS and not node.keywords:
            for item in node.args:
                self._value(item)
        elif isinstance(node, ast.Call) and not node.args and not node.keywords:
            self.made.append(self._class_name(node.func))
        else:
            self._class_name(node)

    def _class_name(self, node: ast.expr) -> str:
        """The class of a subtask or of one entry of a mapping, by the full name of a module imported above."""
        name = _dotted(node)
        if name is None or "__" in name or not any(name.startswith(module + ".") for module in self.modules):
            self._refuse(node)
        return name

    def _refuse(self, node: ast.AST) -> NoReturn:
        line = getattr(node, "lineno", 0)
        shown = ast.unparse(node)[:80]
        raise UntrustedContentError(
            f"line {line} of the saved configuration is `{shown}`, which is not a setting; the file is not read, "
            "because reading it would run it"
        )


def check_saved_config(text: str) -> tuple[str, list[str], list[str]]:
    r"""Check that a text is a saved configuration; returns its class, the modules it imports and the classes it makes.

    Raises `UntrustedContentError` if it does anything but set values, `ValueError` if it is not Python or does not
    tell its class.

    >>> check_saved_config("import a.b\nassert type(config) is a.b.C\nconfig.x=3\n")
    ('a.b.C', ['a.b'], [])
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"the file is not a saved configuration: {error}") from error
    checker = _Checker()
    for node in tree.body:
        checker.statement(node)
    if checker.class_name is None:
        raise ValueError("the file does not tell the class of the configuration")
    return checker.class_name, checker.modules, checker.made


class PexConfigFormatter(BytesFormatter):
    """Write and read configurations of `lsst.pex.config`."""

    default_extension = ".py"

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Write the text of the configuration, with the documentation of its fields."""
        stream = io.StringIO()
        in_memory_dataset.saveToStream(stream)
        return stream.getvalue().encode()

    def from_bytes(self, content: bytes) -> Any:
        """Make the configuration. Its modules are imported only where names in a repository may be followed."""
        from lsst.pex.config import Config

        text = content.decode()
        class_name, modules, made_classes = check_saved_config(text)
        purpose = "the saved configuration"
        cls = import_object(class_name, purpose)
        for module in modules:
            if module != "__main__":
                import_object(module + ".__name__", purpose)
        for name in [class_name, *made_classes]:
            found = import_object(name, purpose)
            if not (isinstance(found, type) and issubclass(found, Config)):
                raise UntrustedContentError(f"the saved configuration calls `{name}`, which is not a configuration")
        made = cls()
        made.loadFromString(text, root="config", extraLocals=_NUMBERS)
        return made
