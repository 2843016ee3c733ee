"""What every dashboard must have, read from the files that Grafana is given.

Most of it is what grafana/dashboard-linter asks for, by the names of its rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

import pytest
import yaml

from generate import dashboards as generator
from grafana.source import comparison
from grafana.source.panels import (
    BELOW_ZERO,
    COMING_DAY,
    DATE,
    MOMENT,
    NO_DATA,
    NO_DAY,
    NOTHING_FOUND,
    SHORT_MOMENT,
    TOO_SHORT,
    USD,
    USD_AXIS,
)
from support.dashboards import (
    EXCEPTIONS,
    FILES,
    FOLDER,
    Target,
    dashboards,
    of_variable,
    panels,
    parsed,
    targets,
)

DASHBOARDS: Final = dashboards()
TARGETS: Final = list(targets())
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
# Units that Grafana has, of those that its linter knows, and formats, which it does not.
UNITS: Final = {"short", "locale", "s", "percentunit", "bytes", "reqps", USD_AXIS}
FORMATS: Final = {BELOW_ZERO, COMING_DAY, DATE, MOMENT, SHORT_MOMENT, USD}


def panel_ids() -> Iterator[Any]:
    """Yield every panel with its dashboard, named for people."""
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            yield pytest.param(panel, id=f"{dashboard['uid']}/{panel['id']}")


of_each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: str(d["uid"]))
of_each_panel = pytest.mark.parametrize("panel", list(panel_ids()))
of_each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


# --- The files ----------------------------------------------------------------------------


def test_every_dashboard_is_a_file() -> None:
    """That they are up to date is checked with all else that is generated."""
    assert len(FILES) == len(generator.boards()) == 4


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    """Rather than left without it."""
    with pytest.raises(ValueError, match="no one place"):
        comparison.fill("no table here", [path.read_text() for path in FILES])


@of_each_dashboard
def test_a_dashboard_can_be_provisioned_from_its_file(dashboard: Mapping[str, Any]) -> None:
    """The classic format of the newest version, called like its file, with nothing to fill in."""
    assert (FOLDER / f"{dashboard['uid']}.json").exists()
    assert dashboard["schemaVersion"] == 42
    assert not dashboard.keys() & {"id", "__inputs", "__requires", "spec"}
    assert not any("libraryPanel" in panel for panel in dashboard["panels"])
    assert "inControlsMenu" not in str(dashboard)


@of_each_dashboard
def test_ids_are_explicit_and_unique(dashboard: Mapping[str, Any]) -> None:
    """A link to a panel holds its id."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert all(isinstance(each, int) and each > 0 for each in ids)
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(titles) == len(set(titles))


@of_each_dashboard
def test_panels_do_not_overlap(dashboard: Mapping[str, Any]) -> None:
    """And stay within the 24 columns of the grid."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


# --- The dashboard ------------------------------------------------------------------------


@of_each_dashboard
def test_a_dashboard_is_one_of_a_family(dashboard: Mapping[str, Any]) -> None:
    """One tag, a menu that keeps time and choices, UTC, and not editable: uneditable-rule."""
    assert dashboard["tags"] == ["viam-billing"]
    assert dashboard["editable"] is False
    assert dashboard["timezone"] == "utc"
    assert dashboard["graphTooltip"] == 1
    (menu,) = dashboard["links"]
    assert (menu["type"], menu["tags"]) == ("dashboards", ["viam-billing"])
    assert menu["asDropdown"]
    assert menu["keepTime"]
    assert menu["includeVars"]


@of_each_dashboard
def test_variables(dashboard: Mapping[str, Any]) -> None:
    """template-datasource-, template-job-, template-label-, template-on-time-change-rule.

    And always in one order: data source, job, organization, what is within it.
    """
    first, *others = dashboard["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert first["label"] == "Data source"
    assert [each["name"] for each in others][:2] == ["job", "organization"]
    for each in others:
        assert (each["type"], each["datasource"], each["refresh"]) == ("query", DATASOURCE, 2)
        assert each["label"]
        assert each["definition"] == each["query"]["query"]
        assert each["multi"] == each["includeAll"]
        assert each.get("allValue") == (".+" if each["multi"] else None)
        assert parsed(of_variable(each))
    assert others[0]["multi"]
    assert "template-instance-rule" in EXCEPTIONS["lint"]
    assert "instance" not in [each["name"] for each in others]


@of_each_dashboard
def test_annotations(dashboard: Mapping[str, Any]) -> None:
    """Each dashboard marks the same three events, at the time that is their value.

    Where days have bars of what was spent, those that hold more than a day are marked, too.
    """
    marks = dashboard["annotations"]["list"]
    has_bars = any(panel["title"].startswith("Spend per day") for panel in panels(dashboard))
    assert [mark["name"] for mark in marks] == [
        "Billing period starts",
        "Invoice issued",
        "Payment failed",
        *["More than a day"] * has_bars,
    ]
    # Asked once for each day, as the bars are.
    assert all(mark["step"] == "1d" and mark["enable"] for mark in marks[3:])
    assert all(mark["datasource"] == DATASOURCE and mark["useValueForTime"] for mark in marks)
    assert marks[0]["enable"]


# --- Panels -------------------------------------------------------------------------------


@of_each_panel
def test_a_panel_says_what_it_is(panel: Mapping[str, Any]) -> None:
    """panel-title-description-rule, panel-datasource-rule, panel-no-targets-rule.

    The description also says how it should look, or what to do, so it is more than a sentence.
    """
    assert panel["title"]
    assert len(panel["description"]) > 25
    assert panel["description"].endswith(".")
    assert panel["datasource"] == DATASOURCE
    assert panel["targets"]


@of_each_panel
def test_a_panel_has_a_unit_and_a_text_for_no_data(panel: Mapping[str, Any]) -> None:
    """panel-units-rule. The text is the last resort, and claims nothing of the bill."""
    defaults = panel["fieldConfig"]["defaults"]
    units = [defaults["unit"]] + [
        each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]
    assert "panel-units-rule" in EXCEPTIONS["lint"]
    assert set(units) <= UNITS | FORMATS
    assert defaults["noValue"] in {NO_DATA, NO_DAY, NOTHING_FOUND, TOO_SHORT}
    assert defaults["noValue"].lower().endswith(NO_DATA.lower())


@of_each_panel
def test_headlines_show_every_cent(panel: Mapping[str, Any]) -> None:
    """The unit currencyUSD turns $1,337.46 into $1.34K, so it is for axes only."""
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] != "timeseries":
        assert "currencyUSD" not in str(panel["fieldConfig"])
    if panel["type"] != "timeseries" and defaults["unit"] == USD:
        assert defaults["decimals"] == 2


@of_each_panel
def test_an_empty_panel_is_not_coloured(panel: Mapping[str, Any]) -> None:
    """Grafana gives the text for no data the first colour."""
    thresholds = panel["fieldConfig"]["defaults"].get("thresholds")
    if panel["type"] == "stat":
        assert thresholds["steps"][0]["color"] == "text"


@of_each_panel
def test_links_lead_to_dashboards_with_time_and_variables(panel: Mapping[str, Any]) -> None:
    """What was chosen here is chosen there."""
    uids = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS}
    for url in re.findall(r"'url': '([^']*)'", str(panel["fieldConfig"])):
        path, _, query = url.partition("?")
        assert path.removeprefix("/d/") in uids
        assert query.startswith("${__url_time_range}&${datasource:queryparam}&${job:queryparam}")
        there = {v["name"] for v in uids[path.removeprefix("/d/")]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= there


@of_each_target
def test_a_query_has_its_place(target: Target) -> None:
    """Its data source is the variable, its letter is its own, and it is of a moment or a range."""
    assert target.query["datasource"] == DATASOURCE
    letters = [query["refId"] for query in target.panel["targets"]]
    assert len(letters) == len(set(letters))
    over_time = target.panel["type"] in {"timeseries", "state-timeline"}
    assert (target.query["instant"], target.query["range"]) == (not over_time, over_time)


# --- Beside them --------------------------------------------------------------------------


def test_every_exception_has_a_reason() -> None:
    """That is what the file is for."""
    assert set(EXCEPTIONS) == {"unused_metrics", "lint", "empty_queries"}
    assert all(len(text) > 25 for group in EXCEPTIONS.values() for text in group.values())


@of_each_dashboard
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_there_is_a_picture(dashboard: Mapping[str, Any], theme: str) -> None:
    """In both themes, on the page about dashboards, and small enough for a repository."""
    name = f"images/{dashboard['uid'].removeprefix('viam-billing-')}-{theme}.png"
    assert name in generator.PAGE.read_text()
    assert (generator.PAGE.parent / name).stat().st_size < 400_000


def test_what_is_provisioned_exists() -> None:
    """The data source has a name, and the dashboards' folder is that of the example."""
    folder = FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((folder / "dashboards" / "viam-billing.yml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"] in (FOLDER.parent / "README.md").read_text()
