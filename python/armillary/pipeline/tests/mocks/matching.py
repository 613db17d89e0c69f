"""Whether an expression holds for one data ID."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from armillary._words import did_you_mean

__all__ = ["DataIdMatch"]

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TOKEN = re.compile(r"'[^']*'|\d+\s*\.\.\s*\d+(?:\s*:\s*\d+)?|!=|<=|>=|=|\b(?:AND|OR|NOT|IN)\b", re.IGNORECASE)


class DataIdMatch:
    """An expression on the values of a data ID: comparisons and `IN` lists, joined by AND, OR and NOT.

    Parameters
    ----------
    expression
        As in the `where` of queries; names are those of dimensions.

    Raises
    ------
    ValueError
        It cannot be understood.

    Examples
    --------
    >>> DataIdMatch("detector IN (1..3, 7) AND NOT band = 'r'").match({"detector": 2, "band": "g"})
    True
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        try:
            self._tree = ast.parse(_TOKEN.sub(_as_python, expression).strip(), mode="eval").body
        except SyntaxError as error:
            raise ValueError(f"the condition `{expression}` cannot be understood: {error.msg}") from error

    def match(self, dataId: Mapping[str, Any]) -> bool:
        """Tell whether the expression holds; raises `KeyError` for a dimension that the data ID does not have."""
        return bool(self._value(self._tree, dataId))

    def _value(self, node: ast.AST, data_id: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.BoolOp):
            values = (bool(self._value(part, data_id)) for part in node.values)
            return all(values) if isinstance(node.op, ast.And) else any(values)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, data_id)
            return not value if isinstance(node.op, ast.Not) else -value
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compare(node, data_id)
        if isinstance(node, ast.Constant):
            return node.value
        name = ast.unparse(node)
        if not isinstance(node, ast.Name):
            raise ValueError(f"the condition `{self.expression}` holds `{name}`, which is no value and no dimension")
        try:
            return data_id[name]
        except KeyError:
            known = [str(key) for key in getattr(data_id, "required", data_id)]
            raise KeyError(f"the data ID has no `{name}`{did_you_mean(name, known)}") from None

    def _compare(self, node: ast.Compare, data_id: Mapping[str, Any]) -> bool:
        left = self._value(node.left, data_id)
        kind, right = node.ops[0], node.comparators[0]
        if isinstance(kind, ast.In | ast.NotIn):
            found = any(self._is_in(left, part, data_id) for part in getattr(right, "elts", [right]))
            return found if isinstance(kind, ast.In) else not found
        compare = _COMPARISONS.get(type(kind))
        if compare is None:
            raise ValueError(f"the condition `{self.expression}` compares in a way that is not known")
        return compare(left, self._value(right, data_id))

    def _is_in(self, value: Any, part: ast.AST, data_id: Mapping[str, Any]) -> bool:
        if isinstance(part, ast.Call):  # a range
            first, last, step = (self._value(argument, data_id) for argument in part.args)
            return isinstance(value, int) and value in range(first, last + 1, step)
        return bool(value == self._value(part, data_id))


def _as_python(found: re.Match[str]) -> str:
    """Spell a token of an expression as Python does."""
    token = found.group()
    if token.startswith("'"):
        return repr(token[1:-1])
    if ".." in token:
        first, _, rest = token.partition("..")
        last, _, step = rest.partition(":")
        return f"range({first.strip()}, {last.strip()}, {step.strip() or 1})"
    return {"=": "=="}.get(token, token.lower())
