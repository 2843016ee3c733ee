"""Panels of series: lines, bars and states over time, and a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from grafana.source import sdk
from grafana.source.panels import (
    COUNT,
    INTERVAL,
    NO_DATA,
    PLAIN,
    TOO_SHORT,
    USD,
    Beside,
    Panel,
    Query,
    described,
    steps,
    target,
    value_map,
)
from grafana.source.promql import LONG

# None is red or orange, which are for what is wrong, and neighbours are easily told apart.
HUES: Final = (
    "#3274D9",  # blue
    "#F2CC0C",  # yellow
    "#8F3BB8",  # purple
    "#37BFA7",  # teal
    "#8AB8FF",  # light blue
    "#8C6D31",  # brown
    "#E685D0",  # pink
    "#5A7D2A",  # olive
)
GREY: Final = "#8E9299"  # of all others, in both themes
# From yellow to blue by the greatest value: palettes of many colours have red, which means bad.
BY_SIZE: Final = (
    sdk.dashboard.FieldColor()
    .mode(sdk.models.FieldColorModeId.CONTINUOUS_YL_BL)
    .series_by(sdk.models.FieldColorSeriesByMode.MAX)
)
Style = tuple[str, Sequence[tuple[str, Any]]]  # the name of a series, and properties of it


def _hue(shade: str) -> Sequence[tuple[str, Any]]:
    return [("color", {"mode": "fixed", "fixedColor": shade})]


# Of series whose names begin with their rank. A name between slashes is a pattern.
BY_RANK: Final[Sequence[Style]] = (
    *((rf"/^{rank}\. /", _hue(shade)) for rank, shade in enumerate(HUES, 1)),
    (r"/^-\. /", _hue(GREY)),
)


def hues(*names: str) -> Sequence[Style]:
    """Return a colour for each of a few series."""
    return [(name, _hue(shade)) for name, shade in zip(names, HUES, strict=False)]


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
    money: bool = True,
    empty: str = "",
) -> Panel:
    """Return lines over time. `styles` are properties by the name of a series.

    Those of `money` have a text in their place as long as they would be too short to be seen.

    On a `doubling` axis each step is twice the one below. A line is drawn at the `limit`. `shades`
    is the one colour that series have shades of.
    """
    if money:
        queries = tuple(replace(each, expr=f"({each.expr}) and on () {LONG}") for each in queries)
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
    empty = empty or (TOO_SHORT if money else NO_DATA)
    return described(panel, title, description, unit, width, height, empty)


def bars(  # noqa: PLR0913 - a panel is what it is called with
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    height: int = 8,
    styles: Sequence[Style] = (),
    empty: str = NO_DATA,
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
    return described(panel, title, description, unit, width, height, empty)


def _style(panel: Panel, styles: Sequence[Style]) -> None:
    for name, properties in styles:
        values = [sdk.models.DynamicConfigValue(key, value) for key, value in properties]
        override = panel.override_by_regexp if name.startswith("/") else panel.override_by_name
        override(name, values)


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
        .sort_by("Total")
        .sort_desc(True)
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


def colour(mode: str) -> Any:
    """Return how series get their colours."""
    return sdk.dashboard.FieldColor().mode(sdk.models.FieldColorModeId(mode))
