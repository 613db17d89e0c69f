"""Conditions as Python objects: `x = query.expression_factory; query.where(x.visit.exposure_time > 30)`.

An expression object stands for a text of the `where` language and the values in it; the text is what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.errors import InvalidQueryError, QueryTypeError

if TYPE_CHECKING:
    from armillary._core import DimensionElement, DimensionUniverse
    from armillary.butler.query import Query

__all__ = [
    "DatasetTypeProxy",
    "DimensionElementProxy",
    "ExpressionFactory",
    "ExpressionProxy",
    "OrderExpression",
    "Predicate",
    "RegionProxy",
    "ScalarExpressionProxy",
    "TimespanProxy",
]

DATASET_FIELDS = ("collection", "dataset_id", "ingest_date", "run", "timespan")


class _Value:
    """A value in an expression that has no written form, and so becomes a bind."""

    def __init__(self, value: Any):
        self.value = value

    def resolved(self) -> Any:
        """Give the value to bind."""
        return self.value


class _ValuesOfQuery(_Value):
    """All values that a column has in the results of another query."""

    def __init__(self, column: ExpressionProxy, query: Query):
        self.value = f"values of {column}"
        self._column, self._query = column, query

    def resolved(self) -> Any:
        """Run the other query."""
        return self._query._values_of(self._column._term())


Parts = tuple["str | _Value", ...]


def _parts(value: Any) -> Parts:
    """Give the text of a value or an expression."""
    if isinstance(value, ExpressionProxy):
        return value._parts
    if isinstance(value, Predicate):
        raise QueryTypeError(f"`{value}` is a condition, not a value; join conditions with `&`, `|` and `~`")
    if value is None:
        return ("NULL",)
    if type(value) is int and value.bit_length() < 64:
        return (str(value),)
    if type(value) is float and value - value == 0:
        return (repr(value),)
    if type(value) is str and value.isprintable() and "'" not in value:
        return (f"'{value}'",)
    return (_Value(value),)


class _Expression:
    """Text with values in it."""

    def __init__(self, *parts: str | _Value):
        self._parts: Parts = parts

    def __str__(self) -> str:
        return "".join(part if isinstance(part, str) else repr(part.value) for part in self._parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __bool__(self) -> bool:
        raise QueryTypeError(
            f"`{self}` is neither true nor false before a query runs; "
            "instead of `and`, `or` and `not` use `&`, `|` and `~`, with brackets around each comparison"
        )

    def compiled(self) -> tuple[str, Mapping[str, Any]]:
        """Give the text, and the values of the `:names` in it."""
        text, binds = "", dict[str, Any]()
        for part in self._parts:
            if isinstance(part, str):
                text += part
            else:
                name = f"value{len(binds) + 1}"
                binds[name] = part.resolved()
                text += f":{name}"
        return text, binds


class Predicate(_Expression):
    """A condition; `&`, `|` and `~` join conditions.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     x = query.expression_factory
    ...     first = (x.detector > 0) & ~(x.detector.full_name == "S01")
    ...     print(first)
    ...     list(query.where(first, instrument="Cam").data_ids("detector"))
    (detector > 0 AND NOT (detector.full_name = 'S01'))
    [{instrument: 'Cam', detector: 1}]
    """

    _word: str | None = None  # what joins the parts of the outermost brackets

    def __and__(self, other: object) -> Predicate:
        return _joined("AND", self, other) if isinstance(other, Predicate) else NotImplemented

    def __or__(self, other: object) -> Predicate:
        return _joined("OR", self, other) if isinstance(other, Predicate) else NotImplemented

    def __invert__(self) -> Predicate:
        return Predicate("NOT (", *self._parts, ")")

    def logical_and(self, *args: Predicate) -> Predicate:
        """Give the condition that all hold."""
        return _joined("AND", self, *args)

    def logical_or(self, *args: Predicate) -> Predicate:
        """Give the condition that at least one holds."""
        return _joined("OR", self, *args)

    def logical_not(self) -> Predicate:
        """Give the condition that this one does not hold."""
        return ~self


def _joined(word: str, *conditions: Any) -> Predicate:
    parts: list[str | _Value] = []
    for condition in conditions:
        if not isinstance(condition, Predicate):
            raise QueryTypeError(f"`{condition}` is no condition; compare it with something, or use `.as_boolean()`")
        # Without brackets of its own, a condition to which terms are added one by one does not get deeper each time.
        added = condition._parts[1:-1] if condition._word == word else condition._parts
        parts += [f" {word} " if parts else "(", *added]
    joined = Predicate(*parts, ")")
    joined._word = word
    return joined


class OrderExpression:
    """An expression to sort by, downwards: what `.desc` gives."""

    def __init__(self, expression: ExpressionProxy):
        self._expression = expression

    def __str__(self) -> str:
        return f"{self._expression} DESC"

    def __repr__(self) -> str:
        return f"<OrderExpression: {self}>"

    def _term(self) -> str:
        return f"-{self._expression._term()}"


class ExpressionProxy(_Expression):
    """Something that a condition can be about."""

    def _term(self) -> str:
        """Give the text as a term of `order_by`."""
        text, binds = self.compiled()
        if binds:
            raise InvalidQueryError(f"cannot sort by `{self}`, which holds values that have no written form")
        return text

    @property
    def is_null(self) -> Predicate:
        """The condition that there is no value."""
        return Predicate(*self._parts, " = NULL")


class ScalarExpressionProxy(ExpressionProxy):
    """A value that compares: a number, text, truth value, time or id."""

    __hash__ = None  # type: ignore[assignment]

    def _compare(self, operator: str, other: Any) -> Predicate:
        return Predicate(*self._parts, f" {operator} ", *_parts(other))

    def __eq__(self, other: object) -> Predicate:  # type: ignore[override]
        return self._compare("=", other)

    def __ne__(self, other: object) -> Predicate:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Predicate:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Predicate:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Predicate:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Predicate:
        return self._compare(">=", other)

    def _compute(self, operator: str, left: Any, right: Any) -> ScalarExpressionProxy:
        return ScalarExpressionProxy("(", *_parts(left), f" {operator} ", *_parts(right), ")")

    def __add__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("+", self, other)

    def __radd__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("+", other, self)

    def __sub__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("-", self, other)

    def __rsub__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("-", other, self)

    def __mul__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("*", self, other)

    def __rmul__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("*", other, self)

    def __truediv__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("/", self, other)

    def __rtruediv__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("/", other, self)

    def __mod__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("%", self, other)

    def __rmod__(self, other: Any) -> ScalarExpressionProxy:
        return self._compute("%", other, self)

    def __neg__(self) -> ScalarExpressionProxy:
        return ScalarExpressionProxy("(-", *self._parts, ")")

    @property
    def desc(self) -> OrderExpression:
        """The same, to sort by downwards."""
        return OrderExpression(self)

    def as_boolean(self) -> Predicate:
        """Give the condition that a truth value is true."""
        return Predicate(*self._parts)

    def glob(self, pattern: str) -> Predicate:
        """Give the condition that text fits a pattern of `*` and `?`."""
        return Predicate("GLOB(", *self._parts, ", ", *_parts(pattern), ")")

    def in_range(self, start: int = 0, stop: int | None = None, step: int = 1) -> Predicate:
        """Give the condition that an integer is one of `range(start, stop, step)`; without `stop` there is no end."""
        if step < 1:
            raise InvalidQueryError(f"the step of a range is 1 or more, not `{step}`")
        if stop is None:
            stop = 2**63 - 1
        if stop < start:
            raise InvalidQueryError(f"a range goes upwards, not from `{start}` to `{stop}`")
        if stop == start:
            return Predicate(*self._parts, " IN (", _Value(()), ")")
        return Predicate(*self._parts, f" IN ({start}..{stop - 1}{f':{step}' if step > 1 else ''})")

    def in_iterable(self, others: Iterable[Any]) -> Predicate:
        """Give the condition that this is equal to one of some values."""
        values = list(others)
        plain = [value for value in values if not isinstance(value, ExpressionProxy)]
        conditions = [self == value for value in values if isinstance(value, ExpressionProxy)]
        if plain or not conditions:
            conditions.append(Predicate(*self._parts, " IN (", _Value(plain), ")"))
        return conditions[0] if len(conditions) == 1 else _joined("OR", *conditions)

    def in_query(self, column: ExpressionProxy, query: Query) -> Predicate:
        """Give the condition that this is equal to the column's value in some result of another query.

        The other query runs when the condition is added to a query.
        """
        return Predicate(*self._parts, " IN (", _ValuesOfQuery(column, query), ")")


class TimespanProxy(ExpressionProxy):
    """A timespan."""

    @property
    def begin(self) -> ScalarExpressionProxy:
        """When it begins."""
        return ScalarExpressionProxy(*self._parts, ".begin")

    @property
    def end(self) -> ScalarExpressionProxy:
        """When it is over: the first moment that is no longer in it."""
        return ScalarExpressionProxy(*self._parts, ".end")

    def overlaps(self, other: Any) -> Predicate:
        """Give the condition that it has a moment in common with a `Timespan`, a time, or another column."""
        return Predicate(*self._parts, " OVERLAPS ", *_parts(other))


class RegionProxy(ExpressionProxy):
    """A region of the sky."""

    def overlaps(self, other: Any) -> Predicate:
        """Give the condition that it has a point in common with a region, a direction, or another column."""
        return Predicate(*self._parts, " OVERLAPS ", *_parts(other))


class DimensionElementProxy(ScalarExpressionProxy):
    """A dimension, which stands for its key, or another element; its fields are attributes."""

    def __init__(self, element: DimensionElement):
        super().__init__(element.name)
        self._element = element

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._element.schema.names})

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_"):
            raise AttributeError(field)
        name = self._element.name
        known = [*self._element.schema.names, *(["region"] if self._element.spatial is not None else [])]
        if field not in known:
            raise AttributeError(f"`{name}` has no field `{field}`{did_you_mean(field, known)}")
        kind = {"region": RegionProxy, "timespan": TimespanProxy}.get(field, ScalarExpressionProxy)
        return kind(f"{name}.{field}")


class DatasetTypeProxy:
    """A dataset type that the query searches for; the fields of its datasets are attributes."""

    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"<DatasetTypeProxy: {self._name}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *DATASET_FIELDS]

    def __getattr__(self, field: str) -> Any:
        if field not in DATASET_FIELDS:
            raise AttributeError(f"datasets have no field `{field}`; they have {', '.join(DATASET_FIELDS)}")
        return (TimespanProxy if field == "timespan" else ScalarExpressionProxy)(f"{self._name}.{field}")


class ExpressionFactory:
    """Makes expression objects: `x.visit`, `x.visit.exposure_time`, `x["raw"].ingest_date`.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     x = query.expression_factory
    ...     list(query.where(x.detector.in_range(2), instrument="Cam").data_ids("detector"))
    [{instrument: 'Cam', detector: 2}]
    """

    def __init__(self, universe: DimensionUniverse):
        self._universe = universe

    def __repr__(self) -> str:
        return "<ExpressionFactory>"

    def __dir__(self) -> Iterator[str]:
        yield from super().__dir__()
        yield from (element.name for element in self._universe.elements)

    def __getattr__(self, name: str) -> DimensionElementProxy:
        element = None if name.startswith("_") else self._universe.get(name)
        if element is None:
            known = [element.name for element in self._universe.elements]
            raise AttributeError(f"no dimension element is called `{name}`{did_you_mean(name, known)}")
        return DimensionElementProxy(element)

    def __getitem__(self, name: str) -> DatasetTypeProxy:
        return DatasetTypeProxy(name)

    def not_(self, operand: Predicate) -> Predicate:
        """Give the condition that another does not hold."""
        return ~_joined("AND", operand)

    def all(self, first: Predicate, /, *args: Predicate) -> Predicate:
        """Give the condition that all hold."""
        return _joined("AND", first, *args)

    def any(self, first: Predicate, /, *args: Predicate) -> Predicate:
        """Give the condition that at least one holds."""
        return _joined("OR", first, *args)

    @staticmethod
    def literal(value: Any) -> ExpressionProxy:
        """Give a value as an expression."""
        if value is None:
            raise QueryTypeError("`None` is no value; the condition that there is none is `.is_null`")
        if hasattr(value, "nsec"):
            return TimespanProxy(*_parts(value))
        if hasattr(value, "getBoundingCircle") or hasattr(value, "getLon"):
            return RegionProxy(*_parts(value))
        return ScalarExpressionProxy(*_parts(value))
