"""Changes to a task's config, collected in order and applied at once."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_yaml import ConfigIR

__all__ = ["ConfigOverrides"]

_PARAMETER_PREFIX = "parameters."


class _Parameters(SimpleNamespace):
    """The pipeline's parameters as attributes, for `python` blocks and config files; read-only."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the pipeline has no parameter `{name}`{did_you_mean(name, vars(self))}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"parameters cannot be changed while configs are made; `{name}` is left as it is")


def literal(value: Any, names: Mapping[str, Any] | None = None) -> Any:
    """Read text as a Python literal where it is one; lists and mappings item by item.

    `names` are what `python` blocks have defined: a text may name one of them. Nothing is evaluated.

    >>> literal("5"), literal("abc"), literal(["1", "x"])
    (5, 'abc', [1, 'x'])
    >>> literal("[x, 2]", {"x": 7})
    [7, 2]
    """
    if isinstance(value, str):
        try:
            return _literal_node(ast.parse(value, mode="eval").body, names or {})
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return value
    if isinstance(value, list):
        return [literal(item, names) for item in value]
    if isinstance(value, Mapping):
        return {key: literal(item, names) for key, item in value.items()}
    return value


def _literal_node(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return what a literal stands for; anything that would have to be computed raises `ValueError`."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.List():
            return [_literal_node(item, names) for item in node.elts]
        case ast.Tuple():
            return tuple(_literal_node(item, names) for item in node.elts)
        case ast.Set():
            return {_literal_node(item, names) for item in node.elts}
        case ast.Dict() if None not in node.keys:
            keys = [_literal_node(key, names) for key in node.keys if key is not None]
            return dict(zip(keys, [_literal_node(item, names) for item in node.values], strict=True))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return ast.literal_eval(node)
    raise ValueError("not a literal")


class _Scope:
    """What the steps of one application share: the parameters, the task's label, names from `python` blocks."""

    def __init__(self, parameters: Mapping[str, Any], label: str) -> None:
        self.parameters = _Parameters(**parameters)
        self.label = label
        self.names: dict[str, Any] = {}


class ConfigOverrides:
    """Changes to a config, kept in the order in which they were added.

    Examples
    --------
    >>> from armillary.pipeline.config_overrides import ConfigOverrides
    >>> from lsst.pex.config import Config, Field
    >>> class DetectConfig(Config):
    ...     threshold = Field(doc="Threshold.", dtype=float, default=5.0)
    >>> overrides = ConfigOverrides()
    >>> overrides.addValueOverride("threshold", "7.5")
    >>> config = DetectConfig()
    >>> overrides.applyTo(config)
    >>> config.threshold
    7.5

    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[Any, _Scope], bool | None]]] = []
        self._parameters: dict[str, Any] = {}

    def addFileOverride(self, filename: str) -> None:
        """Run a config file; environment variables in its name are expanded."""
        self._steps.append((f"file `{filename}`", lambda config, scope: _load_file(config, str(filename), scope)))

    def addValueOverride(self, field: str, value: Any) -> None:
        """Set a field, dotted into sub-configs; text is read as a Python literal where it is one."""
        self._steps.append((f"`{field}`", lambda config, scope: _set_field(config, field, value, scope)))

    def addPythonOverride(self, pythonSnippet: str) -> None:
        """Run Python statements in which `config` is the config and `parameters` the pipeline's parameters."""
        self._steps.append(("python block", lambda config, scope: _run_python(config, pythonSnippet, scope)))

    def addParameters(self, parameters: Mapping[str, Any]) -> None:
        """Give values to the names that appear as `parameters.NAME`."""
        self._parameters.update(parameters)

    def addInstrumentOverride(self, instrument: Any, task_name: str) -> None:
        """Let the instrument apply its own config files for the task of that default name."""
        self._steps.append(("instrument", lambda config, _: instrument.applyConfigOverrides(task_name, config)))

    def add_block(self, block: ConfigIR) -> None:
        """Add one config block of a pipeline: its files, then its Python text, then its fields."""
        if block.dataId is not None:
            raise NotImplementedError(
                "`dataId` in a config block is not supported; give the task a label of its own for these data"
            )
        for filename in block.file:
            self.addFileOverride(filename)
        if block.python is not None:
            self.addPythonOverride(block.python)
        for field, value in block.rest.items():
            self.addValueOverride(field, value)

    def applyTo(self, config: Any, *, label: str = "") -> None:
        """Apply everything to a config, in order.

        Parameters
        ----------
        config
            The config to change.
        label
            Label of the task, for messages.

        Raises
        ------
        AttributeError
            There is no such field.
        ValueError
            A field refuses its value.
        FileNotFoundError
            A config file is not there.

        """
        for _ in self._applied(config, label):
            pass

    def without_effect(self, config: Any, *, label: str = "") -> list[str]:
        """Apply everything to a config, and give the fields that were set to what they were.

        Examples
        --------
        >>> from lsst.pex.config import Config, Field
        >>> class DetectConfig(Config):
        ...     threshold = Field(doc="Threshold.", dtype=float, default=5.0)
        >>> overrides = ConfigOverrides()
        >>> overrides.addValueOverride("threshold", 5.0)
        >>> overrides.without_effect(DetectConfig())
        ['threshold']
        """
        return [what.strip("`") for what, changes in self._applied(config, label) if changes is False]

    def _applied(self, config: Any, label: str) -> Iterator[tuple[str, bool | None]]:
        """Apply everything; say of each field whether that changes it."""
        scope = _Scope(self._parameters, label)
        for what, step in self._steps:
            with _told(what, label):
                changes = step(config, scope)
            yield what, changes


@contextmanager
def _told(what: str, label: str) -> Iterator[None]:
    """Add to an error where it came from, without changing its class."""
    try:
        yield
    except Exception as error:
        if label:
            error.add_note(f"from {what} in the config of task `{label}`")
        raise


def _load_file(config: Any, filename: str, scope: _Scope) -> None:
    path = os.path.expandvars(filename)
    if "://" in path:
        from lsst.resources import ResourcePath

        text = ResourcePath(path).read().decode()
    else:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    config.loadFromString(text, root="config", filename=path, extraLocals={"parameters": scope.parameters})


def _run_python(config: Any, text: str, scope: _Scope) -> None:
    code = compile(str(text), f"<python block of `{scope.label}`>", "exec")
    scope.names.update(config=config, parameters=scope.parameters)
    exec(code, scope.names)
    scope.names.pop("__builtins__", None)  # put there by `exec`; field values must not name it


def _set_field(config: Any, field: str, value: Any, scope: _Scope) -> bool:
    """Set a field; say whether that changes it."""
    if isinstance(value, str) and value.startswith(_PARAMETER_PREFIX):
        name = value.removeprefix(_PARAMETER_PREFIX)
        if name in vars(scope.parameters):
            value = vars(scope.parameters)[name]
        else:
            _warn_of_unknown_parameter(field, name, scope)
    target = config
    *path, last = field.split(".")
    for part in path:
        target = _part_of(target, part, field, scope.label)
    if isinstance(getattr(target, "_fields", None), Mapping) and not hasattr(target, last):
        raise AttributeError(_no_field(target, last, field, scope.label))
    before = _plain(getattr(target, last, None))
    setattr(target, last, literal(value, scope.names))
    after = _plain(getattr(target, last, None))
    return before != after or type(before) is not type(after) or after is Ellipsis


def _plain(value: Any) -> Any:
    """Return the value of a field as plain data; an ellipsis for what is none, such as a subtask."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return ...


def _part_of(target: Any, part: str, field: str, label: str) -> Any:
    try:
        return getattr(target, part)
    except AttributeError:
        raise AttributeError(_no_field(target, part, field, label)) from None


def _no_field(target: Any, part: str, field: str, label: str) -> str:
    of_task = f" of task `{label}`" if label else ""
    whole = "" if part == field else f" (in `{field}`)"
    return (
        f"the config{of_task}, `{type(target).__name__}`, has no field `{part}`{whole}"
        f"{did_you_mean(part, getattr(target, '_fields', ()))}"
    )


def _warn_of_unknown_parameter(field: str, name: str, scope: _Scope) -> None:
    import logging

    logging.getLogger(__name__).warning(
        "`%s` of task `%s` is set to the text `parameters.%s`: the pipeline has no parameter of that name%s",
        field,
        scope.label,
        name,
        did_you_mean(name, vars(scope.parameters)),
    )
