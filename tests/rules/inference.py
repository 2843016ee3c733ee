"""Which labels the result of an expression has, and how far back it looks.

As a compiler would: every metric must exist, every label that is grouped by, matched on or
selected must be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    LabelModifierType,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

from exporter.metrics import catalog, own

Labels = frozenset[str]
NONE: Final[Labels] = frozenset()
TARGET: Final = frozenset({"job", "instance"})
SETS: Final = frozenset({"and", "or", "unless"})
SCALARS: Final = frozenset({"time", "scalar"})
COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})

# Every metric of ours, and Prometheus' own, with its labels.
SCRAPED: Final[Mapping[str, Labels]] = {
    metric.name: TARGET | set(metric.labels) for metric in (*catalog.SPECS, *own.METRICS)
} | {"up": TARGET}


class Wrong(Exception):  # noqa: N818 - what is wrong is its text
    """An expression that can have no result, or not the one that it looks like."""


def labels(expr: Expr, known: Mapping[str, Labels]) -> Labels:
    """Return the labels of an expression's result. Raises Wrong."""
    match expr:
        case VectorSelector():
            found = _selected(expr, known)
        case AggregateExpr():
            found = _aggregated(expr, known)
        case Call():
            found = _called(expr, known)
        case BinaryExpr():
            found = _joined(expr, known)
        case _:
            found = NONE.union(*(labels(part, known) for part in parts(expr)))
    return found


def parts(expr: Expr) -> list[Expr]:
    """Return the expressions that an expression is made of. Raises Wrong for an unknown kind."""
    match expr:
        case NumberLiteral() | StringLiteral() | VectorSelector():
            return []
        case MatrixSelector():
            return [expr.vector_selector]
        case SubqueryExpr() | ParenExpr() | UnaryExpr() | AggregateExpr():
            return [expr.expr]
        case Call():
            return list(expr.args)
        case BinaryExpr():
            return [expr.lhs, expr.rhs]
    raise Wrong(f"{type(expr).__name__} is not known here")


def _within(wanted: list[str], there: Labels, what: str) -> Labels:
    if missing := set(wanted) - there:
        raise Wrong(f"{what}: no label {', '.join(sorted(missing))} among {sorted(there)}")
    return frozenset(wanted)


def _selected(selector: VectorSelector, known: Mapping[str, Labels]) -> Labels:
    name = selector.name or ""
    if name not in known:
        raise Wrong(f"{name}: there is no such metric")
    _within([matcher.name for matcher in selector.matchers.matchers], known[name], name)
    return known[name]


def _aggregated(expr: AggregateExpr, known: Mapping[str, Labels]) -> Labels:
    inner, op = labels(expr.expr, known), str(expr.op)
    by = NONE
    if expr.modifier is not None:
        named = _within(expr.modifier.labels, inner, op)
        by = named if expr.modifier.type == AggModifierType.By else inner - named
    if op in {"topk", "bottomk"}:
        return inner
    if op == "count_values" and isinstance(expr.param, StringLiteral):
        return by | {expr.param.val}
    return by


def _called(call: Call, known: Mapping[str, Labels]) -> Labels:
    inner = [labels(argument, known) for argument in call.args]
    if call.func.name == "absent":
        selector = call.args[0]
        matchers = selector.matchers.matchers if isinstance(selector, VectorSelector) else []
        return frozenset(matcher.name for matcher in matchers)
    if call.func.name == "label_replace":
        return inner[0] | {call.args[1].val}
    return frozenset().union(*inner)


def _is_scalar(expr: Expr) -> bool:
    match expr:
        case NumberLiteral():
            return True
        case Call():
            return expr.func.name in SCALARS
        case ParenExpr() | UnaryExpr():
            return _is_scalar(expr.expr)
        case BinaryExpr():
            return _is_scalar(expr.lhs) and _is_scalar(expr.rhs)
    return False


def _joined(expr: BinaryExpr, known: Mapping[str, Labels]) -> Labels:
    left, right, op = labels(expr.lhs, known), labels(expr.rhs, known), str(expr.op)
    if _is_scalar(expr.lhs) or _is_scalar(expr.rhs):
        return left | right
    matching = expr.modifier.matching if expr.modifier else None
    if matching is None:
        if left != right and op != "or":
            raise Wrong(f"{op}: {sorted(left)} never match {sorted(right)}")
        return left | right
    if matching.type != LabelModifierType.Include:
        raise Wrong(f"{op}: name the labels to match on")
    on = _within(matching.labels, left, op) & _within(matching.labels, right, op)
    if op in SETS:
        return left | right if op == "or" else left
    if expr.modifier and str(expr.modifier.card).endswith("ManyToOne"):
        return left | _within(expr.modifier.group_labels or [], right, op)
    return on


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all that it is made of."""
    yield expr
    for part in parts(expr):
        yield from walk(part)


def metrics(expr: str) -> set[str]:
    """Return the names of the series that an expression needs."""
    selectors = [node for node in walk(parse(expr)) if isinstance(node, VectorSelector)]
    return {selector.name or "" for selector in selectors}


def reach(expr: Expr) -> timedelta:
    """Return how far back an expression looks."""
    own = timedelta()
    if isinstance(expr, VectorSelector | SubqueryExpr):
        own += expr.offset or timedelta()
    if isinstance(expr, MatrixSelector | SubqueryExpr):
        own += expr.range or timedelta()
    return own + max((reach(part) for part in parts(expr)), default=timedelta())
