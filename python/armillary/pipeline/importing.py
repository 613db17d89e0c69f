"""Classes by their dotted names, imported when a user asked for what they do."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from armillary._words import did_you_mean

__all__ = ["class_name", "import_class", "import_task"]


def import_class(name: str) -> Any:
    """Import what `package.module.Name` stands for.

    Raises
    ------
    ImportError
        A module cannot be found, or has no such name. A failure inside an imported module passes through as it is.

    >>> import_class("armillary.pipeline.struct.Struct")(a=1)
    Struct(a=1)

    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        raise ModuleNotFoundError(f"`{name}` is no full class name; write `package.module.{name}`")
    module, rest = _import_module(module_name, name)
    found: Any = module
    for part in [*rest, attribute]:
        if not hasattr(found, part):
            import pkgutil  # needed only when something went wrong

            where = getattr(found, "__name__", str(found))
            known = {*dir(found), *(module.name for module in pkgutil.iter_modules(getattr(found, "__path__", ())))}
            raise ImportError(f"`{where}` has no `{part}` (for `{name}`){did_you_mean(part, known)}")
        found = getattr(found, part)
    return found


def _import_module(module_name: str, wanted: str) -> tuple[Any, list[str]]:
    """Import the longest part of a dotted name that is a module; return it and the attributes that are left."""
    parts = module_name.split(".")
    for length in range(len(parts), 0, -1):
        tried = ".".join(parts[:length])
        try:
            return importlib.import_module(tried), parts[length:]
        except ModuleNotFoundError as error:
            if error.name is None or not (tried == error.name or tried.startswith(error.name + ".")):
                error.add_note(f"while `{tried}` was imported for `{wanted}`")
                raise  # the module is there but something it imports is not
        except Exception as error:
            error.add_note(f"while `{tried}` was imported for `{wanted}`")
            raise
    near = did_you_mean(parts[0], [key for key in sys.modules if "." not in key])
    raise ModuleNotFoundError(f"no module is called `{parts[0]}` (for `{wanted}`){near}; is it on PYTHONPATH?")


def class_name(kind: Any) -> str:
    """Return the dotted name by which a class can be imported.

    >>> from armillary.pipeline import Struct
    >>> class_name(Struct)
    'armillary.pipeline.struct.Struct'
    """
    return f"{kind.__module__}.{kind.__qualname__}"


def import_task(name: str) -> Any:
    """Import a task class.

    Raises
    ------
    ImportError
        A module cannot be found, or has no such name.
    TypeError
        What was found is no pipeline task.
    """
    importlib.import_module("armillary.pipeline.pex_config")  # before the task's own module does it at a higher price
    task_class = import_class(name)
    if not hasattr(task_class, "ConfigClass"):
        raise TypeError(f"`{name}` is no PipelineTask, it has no `ConfigClass`")
    return task_class
