"""Tables: a row for each organization, invoice or exporter, a query for each column of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from grafana.source import sdk
from grafana.source.panels import (
    COUNT,
    DECIMALS,
    INTERVAL,
    PLAIN,
    Panel,
    Query,
    Steps,
    described,
    steps,
    target,
    texts_in_place,
)

TEXT: Final = "color-text"
GAUGE: Final = "gauge"
ROW: Final = "color-background"  # of the whole row
NOTHING: Final = "-"  # in a cell: there is none
# What stands in a cell for NaN and -Inf, see `known`. For Inf a column has words of its own.
UNREADABLE: Final = "cannot be read"
PENDING: Final = "not polled yet"
NUMBER_WIDTH: Final = 125  # for a million dollars, to the cent


@dataclass(frozen=True)
class Column:
    """A column: of the values of a query, or, without an expression, of a label of the first."""

    title: str
    expr: str = ""
    label: str = ""
    unit: str = COUNT
    colours: Steps = PLAIN
    # How values are drawn: TEXT in the colour of the step, GAUGE as a bar up to 1, ROW with the
    # whole row in that colour.
    cell: str = TEXT
    width: int | None = None
    url: str | None = None
    shown: bool = True  # else its query only decides which rows there are
    decimals: int | None = None
    reasons: bool = False  # of a label: it may hold why there are no rows, with an id after it
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # value -> text and colour


def table(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    *columns: Column,
    key: str | None,
    sort: str,
    then: str | None = None,
    ascending: bool = False,
    hidden: Sequence[str] = (),
    width: int = 24,
    height: int = 10,
) -> Panel:
    """Return a table of the rows that any query has.

    `key` is the label that rows are joined by. Without it all queries must have the same labels.
    It and the labels `hidden` are there for links, and not shown. `sort` is a column's title, and
    `then` that of another, by which equal ones are sorted from the greatest.
    """
    panel = (
        sdk.table.Panel()
        .interval(INTERVAL)
        .show_header(True)
        .cell_height(sdk.common_models.TableCellHeight.SM)
        .sort_by(
            [
                sdk.common.TableSortByFieldState().display_name(title).desc(descending)
                for title, descending in ((sort, not ascending), (then, True))
                if title
            ]
        )
        .thresholds(steps(PLAIN))
    )
    names: dict[str, str] = {}  # of fields, as Grafana calls them, to what is shown
    queries = [column for column in columns if column.expr]
    letters = dict(zip((column.title for column in queries), "ABCDEFGHIJKLMNOP", strict=False))
    for column in columns:
        if column.expr:
            letter = letters[column.title]
            panel.with_target(target(Query(column.expr), letter, instant=True, table=True))
            if column.shown:
                names[f"Value #{letter}" if len(queries) > 1 else "Value"] = column.title
        else:
            names[column.label] = column.title
    unseen = [label for label in ([key] if key else []) + [*hidden] if label not in names]
    kept = [*names, *unseen]
    if key and len(queries) > 1:
        _transform(panel, "joinByField", {"byField": key, "mode": "outer"})
    elif len(queries) > 1:
        _transform(panel, "merge", {})
    _transform(panel, "filterFieldsByName", {"include": {"names": kept}})
    order = {name: index for index, name in enumerate(kept)}
    _transform(panel, "organize", {"indexByName": order, "renameByName": names})
    for column in columns:
        if column.shown:
            panel.override_by_name(column.title, _properties(column))
    for label in unseen:
        hide = {"viz": True, "legend": True, "tooltip": True}
        panel.override_by_name(label, [sdk.models.DynamicConfigValue("custom.hideFrom", hide)])
    return described(panel, title, description, COUNT, width, height)


def _transform(panel: Panel, name: str, options: Mapping[str, Any]) -> None:
    panel.with_transformation(sdk.models.DataTransformerConfig(id_val=name, options=options))


def _reason(text: str) -> Mapping[str, Any]:
    """Return the mapping that leaves out what comes after a reason, which may be an id."""
    result = {"text": text, "index": 0}
    return {"type": "regex", "options": {"pattern": f"/^{text}.*/", "result": result}}


def _properties(column: Column) -> list[Any]:
    # A cell that is empty must not say what the whole panel says when it is.
    properties: dict[str, Any] = {"noValue": NOTHING}
    if column.expr:
        properties["unit"] = column.unit
        properties["custom.align"] = "left" if column.texts and column.unit == COUNT else "right"
    decimals = DECIMALS.get(column.unit) if column.decimals is None else column.decimals
    if decimals is not None:
        properties["decimals"] = decimals
    width = column.width or (NUMBER_WIDTH if column.expr else None)
    if width:
        properties["custom.width"] = width
    if column.expr:
        mode = {"mode": "basic"} if column.cell != TEXT else {}
        row = {"applyToRow": True} if column.cell == ROW else {}
        properties["custom.cellOptions"] = {"type": column.cell, **mode, **row}
        properties["thresholds"] = {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in column.colours],
        }
        not_a_number = {"text": UNREADABLE, "color": "red", "index": 0}
        properties["mappings"] = [
            {"type": "special", "options": {"match": "nan", "result": not_a_number}},
            texts_in_place({"-Infinity": (PENDING, "text"), **column.texts}),
        ]
    elif column.texts:
        properties["custom.cellOptions"] = {"type": column.cell}
        properties["mappings"] = [texts_in_place(column.texts)]
    elif column.reasons:
        properties["mappings"] = [_reason(text) for text in (UNREADABLE, PENDING)]
    if column.cell == GAUGE:
        properties["min"], properties["max"] = 0, 1
    if column.url:
        properties["links"] = [{"title": "Open", "url": column.url}]
    return [sdk.models.DynamicConfigValue(key, value) for key, value in properties.items()]
