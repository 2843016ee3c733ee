"""A dashboard: rows of panels below the variables, links and annotations that all have."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana.source import sdk
from grafana.source.panels import DATASOURCE, INTERVAL, Panel
from grafana.source.promql import day_after_a_gap, metric, most, told_apart

TAG: Final = "viam-billing"
FLEET: Final = "viam-billing-fleet"
ORGANIZATION: Final = "viam-billing-organization"
INVOICES: Final = "viam-billing-invoices"
EXPORTER: Final = "viam-billing-exporter"
ANYTHING: Final = ".+"
ALL: Final = "$__all"
COLUMNS: Final = 24  # of Grafana's grid

ONLY_BRACKETS: Final = re.compile(r"(?<=[{\[])\n|\n(?=[}\]])")

Variable = Any  # a builder of any kind of variable
Row = tuple[str, Sequence[Panel]]


@dataclass(frozen=True)
class Board:
    """What a dashboard has of its own. `uid` is also the name of its file."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    since: str = "now-30d"
    marks: bool = True  # invoices and failures are marked unless the reader switches them off
    bars: bool = False  # of days: those that hold more than a day are marked


def to(uid: str, *variables: str) -> str:
    """Return the address of a dashboard, with the time range and the job of this one."""
    kept = ("${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}")
    return f"/d/{uid}?{'&'.join([*kept, *variables])}"


# An organization, or an invoice, of the row that is clicked at.
THIS_ORGANIZATION: Final = "var-organization=${__data.fields.org_id:percentencode}"
THIS_INVOICE: Final = "var-invoice=${__data.fields.Invoice:percentencode}"
CHOSEN_ORGANIZATION: Final = "${organization:queryparam}"


def _choice(name: str, label: str, query: str, *, several: bool, regex: str = "") -> Variable:
    variable = (
        sdk.dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .regex(regex)
        .refresh(sdk.models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(sdk.models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        everything = sdk.models.VariableOption(selected=True, text=["All"], value=[ALL])
        variable.all_value(ANYTHING).current(everything)
    return variable


def labels(name: str, title: str, label: str, of: str) -> Variable:
    """Return a choice among the values of a label of a metric."""
    return _choice(name, title, f"label_values({metric(of)}, {label})", several=True)


def organization(*, several: bool) -> Variable:
    """Return the choice of organizations: their names are shown, their ids chosen."""
    names = told_apart(most("org_id, org_name", 'viam_billing_org_info{job=~"$job"}'))
    return _choice(
        "organization",
        "Organization",
        f"query_result({names})",
        several=several,
        regex=r'/org_id="(?<value>[^"]+)",\s*org_name="(?<text>.*)"\}/',
    )


def _first_variables() -> Sequence[Variable]:
    job = "label_values(viam_billing_exporter_build_info, job)"
    return (
        sdk.dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", "Job", job, several=True),
    )


@dataclass(frozen=True)
class Mark:
    """Marks at the moments that an expression gives, in milliseconds, one for each series of it."""

    name: str
    colour: str
    expr: str
    text: str
    step: str = INTERVAL


def _at(name: str, by: str) -> str:
    """Return the moments that a metric holds, one for each value of the labels `by`."""
    return f"1000 * {most(by, metric(name))}"


PERIODS: Final = Mark(
    "Billing period starts",
    "semi-dark-blue",
    _at("viam_billing_usage_period_start_timestamp_seconds", "org_id, org_name"),
    "{{org_name}}: month to date begins again near $0.",
)
EVENTS: Final = (
    Mark(
        "Invoice issued",
        "semi-dark-purple",
        _at("viam_billing_invoice_issued_timestamp_seconds", "org_id, org_name, invoice_id"),
        "{{org_name}}: {{invoice_id}}",
    ),
    Mark(
        "Payment failed",
        "semi-dark-red",
        _at("viam_billing_payment_last_failure_timestamp_seconds", "org_id, org_name"),
        "{{org_name}}: the last attempt to charge an unpaid invoice.",
    ),
)
GAP: Final = Mark(
    "More than a day",
    "semi-dark-orange",
    day_after_a_gap(),
    "Answers before this day are missing. Its bar also includes all spend since the last one.",
    "1d",
)


def _annotation(mark: Mark, *, enabled: bool) -> Any:
    return (
        sdk.dashboard.AnnotationQuery()
        .name(mark.name)
        .datasource(DATASOURCE)
        .enable(enabled)
        .icon_color(mark.colour)
        .expr(mark.expr)
        .use_value_for_time(True)
        .step(mark.step)
        .title_format(mark.name)
        .text_format(mark.text)
    )


def render(board: Board) -> str:
    """Return a dashboard as JSON."""
    built = (
        sdk.dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("utc")
        .time(board.since, "now")
        .refresh(INTERVAL)
        .readonly()
        .tooltip(sdk.models.DashboardCursorSync.CROSSHAIR)
        .link(
            sdk.dashboard.DashboardLink("Viam billing")
            .type(sdk.models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )
    built.annotation(_annotation(PERIODS, enabled=True))
    for mark in EVENTS:
        built.annotation(_annotation(mark, enabled=board.marks))
    if board.bars:
        built.annotation(_annotation(GAP, enabled=True))
    for variable in (*_first_variables(), *board.variables):
        built.with_variable(variable)
    for title, panels in board.rows:
        built.with_row(sdk.dashboard.Row(title))
        for panel in panels:
            built.with_panel(panel)
    document = json.loads(sdk.JSONEncoder().encode(built.build()))
    # Lines for reading differences, and no more: as a ConfigMap it must stay below 256 KiB.
    finished = _finished(document)
    text = json.dumps(finished, indent=0, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return ONLY_BRACKETS.sub("", text) + "\n"


def _finished(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the library makes without its faults.

    It hides links and annotations in a menu, gives panels no ids, lets wide ones overlap, and says
    what is of no use. A panel's id is its row's, one every hundred, and its place in the row.
    """
    for shown in (*document["links"], *document["annotations"]["list"]):
        shown.pop("placement", None)
    for variable in document["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min", "allowCustomValue"):
            variable.pop(key, None)
    row = place = x = y = bottom = 0
    for panel in document["panels"]:
        panel.pop("repeatDirection", None)
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if "links" in defaults:
            defaults["links"] = [
                {key: each[key] for key in ("title", "url")} for each in defaults["links"]
            ]
        row, place = (row + 100, 0) if panel["type"] == "row" else (row, place + 1)
        panel["id"] = row + place
        position = panel["gridPos"]
        if x + position["w"] > COLUMNS:
            x, y = 0, bottom
        position["x"], position["y"] = x, y
        x, bottom = x + position["w"], max(bottom, y + position["h"])
    return document
