"""Panels of one look: every one is described, and has a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.config import PollConfig
from grafana.source import sdk

# Between two points of a panel there is no news: it is how often bills are polled by default.
INTERVAL: Final = f"{PollConfig().interval / 60:g}m"

USD: Final = "currency:financial:$"  # with all digits: for headlines, tables and invoices
USD_AXIS: Final = "currencyUSD"  # shortened: for axes
SECONDS: Final = "s"
SHARE: Final = "percentunit"
COUNT: Final = "short"
BYTES: Final = "bytes"
PER_SECOND: Final = "reqps"
PLAIN_NUMBER: Final = "locale"  # with all digits; Grafana would write $-1.00
DATE: Final = "time:YYYY-MM-DD"
MOMENT: Final = "time:YYYY-MM-DD HH:mm"
SHORT_MOMENT: Final = "time:D MMM HH:mm"  # for a tile
COMING_DAY: Final = "time:[From] D MMM"  # in place of a number that is not there yet
BELOW_ZERO: Final = "currency:financial:-$"  # of how far an amount is below $0
DECIMALS: Final = {USD: 2, BELOW_ZERO: 2, SHARE: 1}

# The last resort: it must be true whatever is wrong, and so says nothing about the bill.
NO_DATA: Final = "No data, or no answer from Prometheus"
# Of panels that are rightly empty at times.
NOTHING_FOUND: Final = f"None, or {NO_DATA.lower()}"
TOO_SHORT: Final = f"Too little to draw yet, or {NO_DATA.lower()}"
NO_DAY: Final = f"No whole day yet, or {NO_DATA.lower()}"

# Steps of colours. A number that is neither good nor bad has the colour of text, and so has the
# text of a panel that is empty: Grafana gives it the first colour. No amount and no count is green:
# it may be old, or there may be organizations missing from it.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Final[Steps] = ((None, "text"),)
NONE_IS_GOOD: Final[Steps] = ((None, "text"), (0.005, "red"))
NONE_IS_BETTER: Final[Steps] = ((None, "text"), (0.005, "orange"))
ONE_IS_GOOD: Final[Steps] = ((None, "text"), (0, "red"), (1, "green"))
OF_BUDGET: Final[Steps] = ((None, "text"), (0.8, "orange"), (1, "red"))
OF_LIMIT_LEFT: Final[Steps] = ((None, "text"), (0, "red"), (0.1, "orange"), (0.25, "text"))
SHARE_OF_FAILURES: Final[Steps] = ((None, "text"), (0.05, "orange"), (0.2, "red"))
DAYS_LEFT: Final[Steps] = ((None, "text"), (0, "orange"), (3, "text"))
INTERVALS_OLD: Final[Steps] = ((None, "text"), (1.5, "orange"), (2, "red"))

DATASOURCE: Final = sdk.models.DataSourceRef("prometheus", "${datasource}")

Panel = Any  # a builder of any of the SDK's panels: they have no base in common


@dataclass(frozen=True)
class Query:
    """An expression and what its series are called."""

    expr: str
    legend: str = ""
    interval: str | None = None  # least step; None for the panel's


@dataclass(frozen=True)
class Beside:
    """A further number of a tile. Where there are several, each has its name on it.

    `texts` are text and colour by value, shown in its place.
    """

    name: str
    expr: str
    unit: str = COUNT
    colour: str = "text"
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def properties(self) -> list[Any]:
        """Return how it is shown."""
        properties: dict[str, Any]
        if self.texts:
            properties = {"mappings": [texts_in_place(self.texts)]}
        else:
            properties = {
                "unit": self.unit,
                "decimals": DECIMALS.get(self.unit, 0),
                "color": {"mode": "fixed", "fixedColor": self.colour},
            }
        return [sdk.models.DynamicConfigValue(key, each) for key, each in properties.items()]


def target(query: Query, ref_id: str, *, instant: bool, table: bool = False) -> Any:
    """Return a query of a panel: of the moment at the end of the time range, or of all of it."""
    built = (
        sdk.prometheus.Dataquery()
        .ref_id(ref_id)
        .datasource(DATASOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .format(
            sdk.prometheus_models.PromQueryFormat.TABLE
            if table
            else sdk.prometheus_models.PromQueryFormat.TIME_SERIES
        )
    )
    if query.interval:
        built.interval(query.interval)
    return built.instant() if instant else built.range()


def steps(colours: Steps) -> Any:
    """Return colours from values on."""
    return (
        sdk.dashboard.ThresholdsConfig()
        .mode(sdk.models.ThresholdsMode.ABSOLUTE)
        .steps([sdk.models.Threshold(value, colour) for value, colour in colours])
    )


def link(title: str, url: str) -> Any:
    """Return a link in the same window."""
    return sdk.dashboard.DashboardLink(title).url(url)


def stat(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    name: str = "",
    colours: Steps = PLAIN,
    url: str | None = None,
    mappings: Sequence[Any] = (),
    names: bool = False,
    decimals: int | None = None,
    beside: Sequence[Beside] = (),
    width: int = 4,
    height: int = 4,
) -> Panel:
    """Return a number as it is at the end of the time range, with those beside it that there are.

    With `names` it shows what its series is called.
    """
    panel = (
        sdk.stat.Panel()
        .reduce_options(sdk.common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(sdk.common_models.BigValueGraphMode.NONE)
        .color_mode(sdk.common_models.BigValueColorMode.VALUE)
        .orientation(sdk.common_models.VizOrientation.HORIZONTAL)  # one below the other
        # As large as three of them have room for.
        .text(sdk.common.VizTextDisplayOptions().title_size(13).value_size(24))
        .justify_mode(sdk.common_models.BigValueJustifyMode.AUTO)
        .mappings(list(mappings))
        .thresholds(steps(colours))
        .with_target(target(Query(expression, name), "A", instant=True))
    )
    for letter, other in zip("BCDEFGH", beside, strict=False):
        panel.with_target(target(Query(other.expr, other.name), letter, instant=True))
        panel.override_by_name(other.name, other.properties())
    if names:
        panel.text_mode(sdk.common_models.BigValueTextMode.NAME)
    if unit == USD or decimals is not None:
        panel.decimals(2 if decimals is None else decimals)
    if url:
        panel.data_links([link("Details", url)])
    return described(panel, title, description, unit, width, height)


def texts_in_place(texts: Mapping[str, tuple[str, str]]) -> Mapping[str, Any]:
    """Return the mapping from values to text and colour as it stands in an override."""
    options = {
        value: {"text": text, "color": shade, "index": index}
        for index, (value, (text, shade)) in enumerate(texts.items())
    }
    return {"type": "value", "options": options}


def value_map(texts: dict[str, tuple[str, str]]) -> Any:
    """Return texts and colours to show in place of values."""
    return sdk.models.ValueMap(
        {
            value: sdk.models.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(texts.items())
        }
    )


def described(  # noqa: PLR0913 - what every panel has
    panel: Panel,
    title: str,
    description: str,
    unit: str,
    width: int,
    height: int,
    empty: str = NO_DATA,
) -> Panel:
    """Give a panel what every panel has: words, a unit, a place, and the last resort."""
    return (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(height)
    )
