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
BELOW_ZERO: Final = "currency:financial:-$"  # of how far an amount is below $0

# The last resort: it must be true whatever is wrong, and so says nothing about the bill.
NO_DATA: Final = "No data for this choice"

# Steps of colours. A number that is neither good nor bad has the colour of text, and so has the
# text of a panel that is empty: Grafana gives it the first colour.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Final[Steps] = ((None, "text"),)
NONE_IS_GOOD: Final[Steps] = ((None, "text"), (0, "green"), (0.005, "red"))
NONE_IS_BETTER: Final[Steps] = ((None, "text"), (0, "green"), (0.005, "orange"))
ONE_IS_GOOD: Final[Steps] = ((None, "text"), (0, "red"), (1, "green"))
OF_BUDGET: Final[Steps] = ((None, "text"), (0, "green"), (0.8, "orange"), (1, "red"))
OF_LIMIT_LEFT: Final[Steps] = ((None, "text"), (0, "red"), (0.1, "orange"), (0.25, "green"))
SHARE_OF_FAILURES: Final[Steps] = ((None, "text"), (0, "green"), (0.05, "orange"), (0.2, "red"))
DAYS_LEFT: Final[Steps] = ((None, "text"), (0, "orange"), (3, "green"))
INTERVALS_OLD: Final[Steps] = ((None, "text"), (0, "green"), (1.5, "orange"), (2, "red"))

# From blue to purple by the greatest value: palettes of many colours have red, which means bad.
BY_SIZE: Final = (
    sdk.dashboard.FieldColor()
    .mode(sdk.models.FieldColorModeId.CONTINUOUS_BL_PU)
    .series_by(sdk.models.FieldColorSeriesByMode.MAX)
)
DATASOURCE: Final = sdk.models.DataSourceRef("prometheus", "${datasource}")

Style = tuple[str, Sequence[tuple[str, Any]]]  # the name of a series, and properties of it
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
        properties: dict[str, Any] = {
            "unit": self.unit,
            "decimals": 2 if self.unit in {USD, BELOW_ZERO} else 0,
            "color": {"mode": "fixed", "fixedColor": self.colour},
        }
        if self.texts:
            properties["mappings"] = [texts_in_place(self.texts)]
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


def lines(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    height: int = 8,
    styles: Sequence[Style] = (),
    from_zero: bool = True,
    doubling: bool = False,
    shades: str | None = None,
    limit: float | None = None,
) -> Panel:
    """Return lines over time. `styles` are properties by the name of a series.

    On a `doubling` axis each step is twice the one below. A line is drawn at the `limit`. `shades`
    is the one colour that series have shades of.
    """
    panel = _time_series(queries, _legend())
    panel.draw_style(sdk.common_models.GraphDrawStyle.LINE).line_width(2).fill_opacity(0)
    if from_zero:
        panel.axis_soft_min(0)  # what is below it is shown
    if shades:
        mode = sdk.models.FieldColorModeId.SHADES
        panel.color_scheme(sdk.dashboard.FieldColor().mode(mode).fixed_color(shades))
    if doubling:
        scale = sdk.common_models.ScaleDistribution.LOG
        panel.scale_distribution(sdk.common.ScaleDistributionConfig().type(scale).log(2))
    if limit is not None:
        dashed = sdk.common_models.GraphThresholdsStyleMode.DASHED
        panel.thresholds(steps(((None, "transparent"), (limit, "red"))))
        panel.thresholds_style(sdk.common.GraphThresholdsStyleConfig().mode(dashed))
    _style(panel, styles)
    return described(panel, title, description, unit, width, height)


def bars(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    height: int = 8,
    styles: Sequence[Style] = (),
) -> Panel:
    """Return bars over time, one upon the other. `styles` are as for `lines`."""
    panel = _time_series(queries, _legend_with_sums())
    (
        panel.draw_style(sdk.common_models.GraphDrawStyle.BARS)
        .axis_soft_min(0)
        .line_width(1)
        .fill_opacity(85)
        .bar_alignment(sdk.common_models.BarAlignment.AFTER)
        .bar_width_factor(0.8)
        .stacking(sdk.common.StackingConfig().mode(sdk.common_models.StackingMode.NORMAL))
    )
    if unit == COUNT:
        panel.decimals(0)
    _style(panel, styles)
    return described(panel, title, description, unit, width, height)


def _style(panel: Panel, styles: Sequence[Style]) -> None:
    for name, properties in styles:
        values = [sdk.models.DynamicConfigValue(key, value) for key, value in properties]
        panel.override_by_name(name, values)


def _legend() -> Any:
    return (
        sdk.common.VizLegendOptions()
        .show_legend(True)
        .display_mode(sdk.common_models.LegendDisplayMode.LIST)
        .placement(sdk.common_models.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _legend_with_sums() -> Any:
    return (
        sdk.common.VizLegendOptions()
        .show_legend(True)
        .display_mode(sdk.common_models.LegendDisplayMode.TABLE)
        .placement(sdk.common_models.LegendPlacement.RIGHT)
        .width(260)  # long names leave room for the bars
        .calcs(["sum"])
    )


def _time_series(queries: Sequence[Query], legend: Any) -> Any:
    panel = (
        sdk.timeseries.Panel()
        .interval(INTERVAL)
        .legend(legend)
        .tooltip(
            sdk.common.VizTooltipOptions()
            .mode(sdk.common_models.TooltipDisplayMode.MULTI)
            .sort(sdk.common_models.SortOrder.DESCENDING)
        )
        .span_nulls(False)
        .show_points(sdk.common_models.VisibilityMode.NEVER)
        .color_scheme(BY_SIZE)
    )
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(target(query, letter, instant=False))
    return panel


def ranking(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    colours: Mapping[str, str],
    counts: str,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Return horizontal bars, one for each series, as they are at the end of the time range.

    `colours` are by the name of a series. The one called `counts` has a number of its own kind.
    """
    panel = (
        sdk.bargauge.Panel()
        .reduce_options(sdk.common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(sdk.common_models.VizOrientation.HORIZONTAL)
        .display_mode(sdk.common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(sdk.common_models.BarGaugeValueMode.TEXT)
        .show_unfilled(False)
        .min(0)
        .thresholds(steps(PLAIN))
    )
    for name, shade in colours.items():
        value = {"mode": "fixed", "fixedColor": shade}
        panel.override_by_name(name, [sdk.models.DynamicConfigValue("color", value)])
    panel.override_by_name(counts, Beside(counts, "", colour="orange").properties())
    if unit == USD:
        panel.decimals(2)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(target(query, letter, instant=True))
    return described(panel, title, description, unit, width, height)


def states(
    title: str,
    description: str,
    *queries: Query,
    values: Sequence[tuple[int, str, str]],
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Return what state each series was in over time; `values` are number, text and colour."""
    panel = (
        sdk.statetimeline.Panel()
        .interval(INTERVAL)
        .merge_values(True)
        .show_value(sdk.common_models.VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            sdk.common.VizLegendOptions()
            .show_legend(True)
            .display_mode(sdk.common_models.LegendDisplayMode.LIST)
            .placement(sdk.common_models.LegendPlacement.BOTTOM)
        )
        .mappings([value_map({str(number): (text, colour)}) for number, text, colour in values])
        .color_scheme(colour("thresholds"))
        .thresholds(steps(PLAIN))
    )
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(target(query, letter, instant=False))
    return described(panel, title, description, COUNT, width, height)


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


def colour(mode: str) -> Any:
    """Return how series get their colours."""
    return sdk.dashboard.FieldColor().mode(sdk.models.FieldColorModeId(mode))


def described(  # noqa: PLR0913 - what every panel has
    panel: Panel, title: str, description: str, unit: str, width: int, height: int
) -> Panel:
    """Give a panel what every panel has: words, a unit, a place, and the last resort."""
    return (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value(NO_DATA)
        .span(width)
        .height(height)
    )
