"""The report as HTML: its numbers are the ledger's, and no text of anybody's becomes markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.problems import Kind
from exporter.process.version import version
from exporter.state.listing import text_of
from exporter.tool.api_answers import WholeOrganization
from exporter.tool.report import pages
from exporter.tool.report.compares import CREDITS, DISCOUNTS, STEPS
from exporter.tool.report.days import net
from exporter.tool.report.glossary import undivided
from exporter.tool.report.months import Month, Report, Told, month_of
from exporter.tool.report.problems import problems
from support.months import NOW
from support.process import ROOT
from support.reports import never_read, new, of_many_lines, report, stale, usual
from support.status import DAY, Html
from support.tables import amounts, cents, table

FOLDER: Final = ROOT / "tests" / "reports"
GOLDEN: Final[Mapping[str, Callable[[], Report]]] = {
    "running": lambda: report([usual()]),
    "ended": lambda: report([usual()], "2026-10"),
    "new": lambda: report([new()]),
    "stale": lambda: report([stale()]),
    "fleet": lambda: report([usual(), new(), stale(), never_read()]),
}


def page(of: Report) -> Html:
    """Return a report taken apart."""
    return Html.of(pages.html(of))


@pytest.mark.parametrize("name", GOLDEN)
def test_the_whole_document(name: str, *, update_golden: bool) -> None:
    """Byte for byte, but for the release that made it."""
    text = pages.html(GOLDEN[name]()).replace(f"exporter {version().number},", "exporter VERSION,")
    file = FOLDER / f"{name}.html"
    if update_golden:
        file.write_text(text)
    assert text == file.read_text()


def test_every_document_is_compared() -> None:
    """One that no test reads would be a check that cannot fail."""
    assert {file.stem for file in FOLDER.glob("*.html")} == {*GOLDEN}


@pytest.mark.parametrize("month", [None, "2026-10"])
def test_its_numbers_are_those_of_the_ledger(month: str | None) -> None:
    """To the cent, read back from the page: each day, each part, and the totals."""
    of = report([usual()], month)
    (known,) = of.months
    html = page(of)
    cells = [cell for row in table(html, "Mon") for cell in row if cell]
    assert len(cells) == len(known.days.days)
    for cell, (number, day) in zip(cells, known.days.days, strict=True):
        assert cell.split("$")[0].split()[-1] == str(int(text_of(number)[-2:]))
        expected = [cents(day.spend)] + ([-cents(day.corrections)] if day.corrections else [])
        assert amounts(cell) == expected
    assert known.period.usd is not None
    total = cents(known.period.usd)
    for head in ("Resource type", "Source", "Tier"):
        *lines, last = table(html, head)
        assert last[0] == ("So far" if month is None else "Total")
        assert sum(amounts(line[-1])[0] for line in lines) == total
        assert amounts(last[-1]) == [total]
    assert f"{'So far' if month is None else 'Incomplete total'}${total / 100:,.2f}" in html.text
    found = known.compared
    assert found is not None
    assert found.pair.now is not None
    assert found.pair.before is not None
    assert f"${found.pair.now:,.2f} after ${found.pair.before:,.2f}" in html.text


def test_a_fleet_has_a_line_for_each_and_their_sum() -> None:
    """Those of which nothing is known have one, too, and the reason above it."""
    of = report([usual(), stale(), never_read()])
    html = page(of)
    acme, quillback = of.months
    assert [row[4].split()[-2:] for row in table(html, "Organization")[1:3]] == [
        ["19", "days"],
        ["22", "days"],
    ]
    assert amounts(html.row("Acme Robotics")[1]) == [cents(acme.period.usd or 0.0)]
    assert html.row("Ossuline Foundry")[1:3] == ["unknown", "unknown"]
    sums = html.row("2 of 3 organizations")
    cost = (acme.period.usd or 0.0) + (quillback.period.usd or 0.0)
    name = "Quillback <Harvesting> & Söhne"
    assert sums[1] == f"at least ${cost:,.2f}out of date: {name}excludes Ossuline Foundry"
    end = (acme.end_usd or 0.0) + (quillback.period.usd or 0.0)
    assert end > cost
    assert sums[2] == (
        f"at least ${end:,.2f}no forecast, only the cost so far: {name}excludes Ossuline Foundry"
    )
    assert html.row(name)[1].startswith(f"${quillback.period.usd:,.2f} as of 2026-11-20")
    assert (
        "costs are those so far, as of 2026-11-23 12:00:00 UTC; where a day is stated, as of that "
        "day." in html.text
    )
    assert sums[3] == "$530.00excludes Ossuline Foundry"
    assert "Over budget1of 2 with a budgetexcludes Ossuline Foundry" in html.text
    assert "Not completely read2of 3 organizations" in html.text
    changes = (each.compared.in_cents().pair for each in of.months if each.compared)
    change = sum(each.change or 0.0 for each in changes)
    assert sums[4].startswith(f"+${change:.2f} (")
    assert sums[4].endswith("%)excludes Ossuline Foundry")
    assert "In trouble3of 3 organizations" in html.text
    nothing, out_of_date = [row for row in html.rows if row[0] == "Cannot be read"]
    assert nothing[1] == "Ossuline Foundry"
    assert "the key may not read this bill" in nothing[4]
    assert out_of_date[1] == "Quillback <Harvesting> & Söhne"
    assert html.text.count("the key may not read this bill") == 1


def test_what_bills_are_made_of_names_those_it_lacks() -> None:
    """With what they cost, as it is in the total above."""
    of = report([usual(), stale(), new()])
    html = page(of)
    lacks = f"Excludes {of.months[1].whole.org_name} (${of.months[1].period.usd:,.2f})."
    assert lacks in html.text
    *lines, last = table(html, "Resource type")
    assert last[0] == "2 of 3 organizations"
    assert sum(amounts(line[-1])[0] for line in lines) == amounts(last[-1])[0]


def test_a_sum_names_few_and_counts_the_rest() -> None:
    """Of two hundred organizations nobody reads all names in a sum."""
    (told,) = report([never_read()]).nothing
    nothing = [told.model_copy(update={"org_id": str(n), "org_name": f"Org {n}"}) for n in range(5)]
    html = page(Report(report([usual()]).months, nothing, [], NOW, "a running exporter"))
    assert html.row("1 of 6 organizations")[1].endswith("excludes Org 0, Org 1, Org 2 and 2 more")


def test_organizations_in_trouble_come_first() -> None:
    """Then the most expensive ones: of two hundred nobody looks at the last page."""
    html = page(report([new(), never_read(), usual(), stale()]))
    names = [row[0] for row in table(html, "Organization")]
    assert names == [
        "Ossuline Foundry",
        "Quillback <Harvesting> & Söhne",
        "Acme Robotics",
        "Barrel Mapping",
        "3 of 4 organizations",
    ]


def test_a_report_of_many_lists_them_and_has_no_part_for_each() -> None:
    """Two hundred would be hundreds of sheets. No problem and no organization is left out."""
    told = [Told(*each.told()) for each in (usual(), stale(), new())]

    def many(number: int) -> Report:
        wholes = [
            (
                whole.model_copy(update={"org_id": str(place), "org_name": f"Org {place:02}"}),
                days,
            )
            for place in range(number)
            for whole, days in [told[place % len(told)]]
        ]
        months = [month_of(Told(*each), None, NOW) for each in wholes]
        return Report([each for each in months if each], [], [], NOW, "a running exporter")

    of = many(pages.MAX_WHOLE + 1)
    html = page(of)
    assert "Each day" not in html.text
    assert "For all of one organization, run viam-billing report --organization=NAME." in html.text
    names = {each.whole.org_name for each in of.months}
    assert {row[0] for row in table(html, "Organization")} >= names
    troubled = {row[0] for row in html.rows if row[-1].startswith("cannot be read")}
    assert troubled == {f"Org {place:02}" for place in (1, 4, 7, 10)}
    assert not [value for name, value in html.attributes if value == "#organization-1"]
    few = page(many(pages.MAX_WHOLE))
    assert few.text.count("Each day") == pages.MAX_WHOLE
    assert "--organization=NAME" not in few.text


def test_a_sum_of_which_nothing_is_known_is_no_amount() -> None:
    """Not even $0.00."""
    html = page(report([stale(), never_read()]))
    assert html.row("Quillback <Harvesting> & Söhne")[5] == "unknown"
    (one,) = report([stale()]).months
    html = page(Report([one, one], [], [], NOW, "a running exporter"))
    assert "The month is not over" not in html.text, "nobody knows"
    assert "Out of date: bills with a day beside their cost were last read then" in html.text
    assert html.row("All 2")[5] == "unknown"
    assert "Overdue invoicesunknown" in html.text
    assert "$0.00" not in html.text


def test_what_could_not_be_read_has_no_amount() -> None:
    """Of the one that is withdrawn there is what the ledger has, which says as of when."""
    html = page(report([stale()]))
    assert (
        "Out of date: the bill was last read on 2026-11-20, and more may have been spent"
        in html.text
    )
    assert "Unpaid invoicesunknown" in html.text
    assert "Invoices could not be read." in html.text
    assert "Forecastunknownthe bill has not been read since 2026-11-20" in html.text
    assert "$0.00" not in html.text


def test_amounts_are_as_of_the_oldest_answer_that_was_used() -> None:
    """Which came before the report was made."""
    (one,) = report([usual()], now=NOW + 600).months
    other = replace(one, period=one.period._replace(seen=NOW - 60))
    text = page(Report([one, other], [], [], NOW + 600, "a running exporter")).text
    assert "costs are those so far, as of 2026-11-23 11:59:00 UTC or later." in text
    told = changed(one, last_success="2026-11-23T11:58:00Z")
    assert "amounts are as of 2026-11-23 12:00:00 UTC" in alone(told).text
    ended = changed(report([usual()], "2026-10").months[0], last_success="2026-11-23T11:58:00Z")
    assert "Unpaid invoices are as of 2026-11-23 11:58:00 UTC or later." in alone(ended).text


def test_what_is_not_divided_is_said_in_a_sentence() -> None:
    """By source and by tier."""
    html = page(report([of_many_lines()]))
    assert "All of it is charges of fragments." in html.text
    assert undivided("org", "source").startswith("All of it is the organization's own charges")
    assert undivided("", "tier") == "None of it belongs to a tier."
    assert undivided("Gold", "tier") == "All of it belongs to the tier Gold."
    assert undivided("unknown_7", "source") == "All of it belongs to the source unknown 7."


def test_a_month_that_is_not_over_says_so() -> None:
    """And one that ended how long before its end it was read last."""
    html = page(report([usual()]))
    assert "It is not over: amounts are as of 2026-11-23 12:00:00 UTC" in html.text
    html = page(report([usual()], "2026-10"))
    assert "It has ended, but the bill was not read at its end." in html.text
    assert "no longer change" not in html.text
    assert "2026-10-31 18:00:00 UTC, 6 h before the end of the period" in html.text
    html = page(report([usual()], now=NOW + 8 * DAY))
    assert "Out of date: the bill was last read on 2026-11-23 12:00:00 UTC" in html.text
    assert re.search(r"Forecast\$[\d.,]+four times out of five, it ends between", html.text)


def test_a_month_read_to_its_end_is_final() -> None:
    """Only then; one read hours before is known to be too low, and by about how much."""
    (early,) = report([usual()], "2026-10").months
    at_end = early.period._replace(seen=early.period.end)
    html = page(Report([replace(early, period=at_end)], [], [], NOW, "a running exporter"))
    assert "It has ended: these amounts no longer change." in html.text
    assert "Incomplete" not in html.text
    html = page(report([usual()], "2026-10"))
    usd = early.period.usd or 0.0
    assert f"about ${usd / (30.75 * 4):.2f}, at the average of the month" in html.text
    assert "at least 89% used" in html.text
    assert table(html, "Mon")[-1][5].endswith("until 18:00")


def test_days_after_the_last_answer_are_unknown() -> None:
    """They are in the calendar, and the amounts say as of when they are."""
    html = page(report([stale()]))
    last = [cell for row in table(html, "Mon") for cell in row if cell][-4:]
    assert last[0].endswith("incomplete")
    assert last[1:] == ["21unknown", "22unknown", "23unknown"]
    assert "3 days not known" in html.text
    assert re.search(r"So far\$[\d.]+as of 2026-11-20", html.text)
    assert re.search(r"at least \d+% used", html.text)
    assert "at least" not in page(report([usual()])).text


def test_bounds_without_a_past_say_so() -> None:
    """Nothing was ever forecast of it, so no share of periods is known."""
    assert "with no history to judge by, it may end between $" in page(report([new()])).text
    assert "four times out of five, it ends between $" in page(report([usual()])).text
    assert "closest in the past" in page(report([usual()])).text
    assert "closest in the past" not in page(report([new()])).text


def test_a_month_without_dates_has_what_is_known_of_it() -> None:
    """The API may give none."""
    bare = {"org_id": "a", "org_name": "A", "month_to_date_usd": 12.5}
    told = Told(WholeOrganization.model_validate(bare), [])
    found = month_of(told, None, NOW)
    assert found is not None
    html = page(Report([found], [], [], NOW, "a running exporter"))
    assert "A: Viam bill, the current month" in html.text
    assert "So far$12.50" in html.text
    assert "Invoices could not be read." in html.text


def test_spikes_have_their_causes() -> None:
    """And days that could not be compared are not said to be none."""
    html = page(report([usual()]))
    row = html.row("2026-11-14")
    (cost,), (expected,), (above,) = map(amounts, row[1:4])
    assert cost == pytest.approx(expected + above, abs=1) == pytest.approx(3656, abs=1)
    assert row[4].startswith("binary data cloud storage +$3")
    assert "Not compared: 2026-11-17 to 2026-11-18." in html.text
    html = page(report([usual()], "2026-10"))
    assert "Not compared: 2026-10-01 to 2026-10-11. The highest of these days is" in html.text
    assert "Unknown: no day could be compared" in page(report([new()])).text


@pytest.mark.parametrize("month", [None, "2026-10"])
def test_what_changed_leads_to_the_change_on_the_card(month: str | None) -> None:
    """Each type, then discounts and credits, which make the change smaller."""
    html = page(report([usual()], month))
    *lines, total = table(html, "Resource type", number=1)
    before = "October 2026" if month is None else "September 2026"
    assert f"Against {before}{total[3]}" in html.text
    for column in (1, 2, 3):
        parts = sum(amounts(line[column])[0] for line in lines)
        # Each of them is rounded by itself.
        assert parts == pytest.approx(amounts(total[column])[0], abs=len(lines))
    names = [line[0] for line in lines]
    assert STEPS[DISCOUNTS] in names
    assert (STEPS[CREDITS] in names) == (month is None)


def test_the_budget_says_what_is_left_in_dollars() -> None:
    """Now, by the forecast, and at its upper bound: 97% of it is no promise."""
    (one,) = report([usual()]).months
    spent, whole = one.period.usd or 0.0, one.whole
    assert whole.forecast_usd is not None
    assert whole.forecast_upper_usd is not None
    text = page(report([usual()])).text
    assert f"71% used, ${330 - spent:.2f} left" in text
    assert (
        f"forecast to reach 93% (the line in the bar), ${330 - whole.forecast_usd:.2f} left; "
        f"at its upper bound ${whole.forecast_upper_usd - 330:.2f} over" in text
    )
    (bad,) = report([stale()]).months
    assert f"${(bad.period.usd or 0.0) - 200:.2f} over" in page(report([stale()])).text


def test_the_chart_is_explained_by_what_is_in_it() -> None:
    """And its highest bar has an amount; estimates are marked on all days that have any."""
    html = page(report([usual()]))
    (one,) = report([usual()]).months
    assert "The highest bar is 2026-11-14, $36.56. Striped bars are estimates." in html.text
    assert "Shaded" not in html.text
    marked = [cell for row in table(html, "Mon") for cell in row if "estimated" in cell]
    assert len(marked) == sum(day.estimated > 0.005 for _, day in one.days.days)
    html = page(report([stale()]))
    assert "Shaded columns are days that are not known." in html.text
    assert "Striped" not in html.text


def test_months_of_other_lengths_say_so() -> None:
    """A day more is no rise."""
    text = page(report([usual()], "2026-10")).text
    assert "Against September 2026" in text
    assert re.search(r"31 days after 30per day \+\$\d\.\d\d \(\+9%\)", text)
    assert "per day" not in page(report([usual()])).text


def test_many_parts_are_cut_and_the_rest_is_named() -> None:
    """With its sum: nothing is lost."""
    *lines, last = table(page(report([of_many_lines()])), "Tier")
    assert sum(amounts(line[-1])[0] for line in lines) == amounts(last[-1])[0]
    (others,) = [line for line in lines if re.fullmatch(r"\d+ others", line[0])]
    assert re.fullmatch(r"\d+%", others[1])


def test_nothing_runs_and_nothing_is_loaded() -> None:
    """No script, no style but its own, no address that is not in the document."""
    for make in GOLDEN.values():
        html = page(make())
        assert "script" not in {tag for tag, _ in html.tags}
        links = [value for name, value in html.attributes if name in {"href", "src"}]
        assert all(link.startswith(("#", "data:,")) for link in links)
        assert not any(name.startswith("on") or name == "style" for name, _ in html.attributes)
        assert "http" not in "".join(value for _, value in html.attributes).replace(
            "http-equiv", ""
        )
        assert "url(" not in pages.html(make())


TEXT: Final = st.text(min_size=1).filter(str.strip)


@settings(max_examples=25)
@given(TEXT, TEXT)
def test_text_of_others_never_becomes_markup(text: str, other: str) -> None:
    """Whatever is in names, tiers, ids and reasons: elements and attributes stay the same."""
    usual_one, stale_one = report([usual(), stale()]).months

    def changed(name: str, reason: str) -> Report:
        failing = [each.model_copy(update={"reason": reason}) for each in stale_one.whole.failures]
        bad = stale_one.whole.model_copy(update={"org_name": reason, "failures": failing})
        costs = [
            each.model_copy(update={"tier": f"{number}{name}"})
            for number, each in enumerate(usual_one.period.costs or ())
        ]
        bill = [
            each.model_copy(update={"invoice_id": name, "status": reason})
            for each in usual_one.whole.invoices or ()
        ]
        one = usual_one.whole.model_copy(update={"org_name": name})
        made = {
            which: each._replace(
                parts=[
                    part._replace(name=f"{number}{name}") for number, part in enumerate(each.parts)
                ]
            )
            for which, each in usual_one.made_of.items()
        }
        period = usual_one.period._replace(costs=costs)
        first = replace(usual_one, whole=one, period=period, dated=bill, made_of=made)
        return Report([first, replace(stale_one, whole=bad)], [bad], [], NOW, "a running exporter")

    plain, odd = page(changed("a", "b")), page(changed(text, f"{other}{text}."))
    assert odd.tags == plain.tags
    assert [name for name, _ in odd.attributes] == [name for name, _ in plain.attributes]


def test_a_month_known_from_its_days_alone_has_its_types() -> None:
    """Without sources and tiers; discounts and all else are one line."""
    html = page(report([stale()]))
    *lines, last = table(html, "Resource type")
    assert lines[-1][0] == "Discounts and adjustments"
    assert sum(amounts(line[-1])[0] for line in lines) == amounts(last[-1])[0]
    assert not {row[0] for row in html.rows} & {"Source", "Tier"}


def changed(of: Month, usd: float | None = None, **fields: Any) -> Month:
    """Return a month of which the exporter says something else."""
    period = of.period if usd is None else of.period._replace(usd=usd)
    return replace(of, whole=of.whole.model_copy(update=fields), period=period)


def alone(month: Month) -> Html:
    """Return the report of one month."""
    return page(Report([month], [], [], NOW, "a running exporter"))


def test_a_budget_of_nothing_is_exceeded_by_anything() -> None:
    """No share can say so, but the amount can; and it is counted."""
    one = changed(report([usual()]).months[0], budget_usd=0.0)
    assert f"Budget$0.00${one.period.usd:.2f} over" in alone(one).text
    html = page(Report([one, one], [], [], NOW, "a running exporter"))
    assert "Over budget2of 2 with a budget" in html.text


def test_a_budget_that_will_be_used_up_is_not_yet() -> None:
    """And the day on which it was is the one since which it is exceeded."""
    (one,) = report([usual()]).months
    spent = one.period.usd or 0.0
    later = changed(one, budget_usd=spent + 5, budget_exhausted_at="2026-11-24T03:00:00Z")
    assert "by the forecast, it will be used up on 2026-11-24" in alone(later).text
    # The credit of 10 November took the month below this again, on that day.
    budget = sum(day.spend for number, day in one.days.days if text_of(number) < "2026-11-10")
    again = changed(one, budget_usd=budget - 1)
    assert again.used_up == ("2026-11-11", False)
    text = alone(again).text
    assert "; used up on 2026-11-11" in text
    assert "2026-11-11 (estimated)" not in text


def test_a_date_that_comes_of_estimated_days_is_an_estimate() -> None:
    """Nobody saw on which of these days the budget was used up."""
    (one,) = report([usual()]).months
    before = [net(day) for number, day in one.days.days if text_of(number) < "2026-11-18"]
    over = changed(one, budget_usd=sum(before) + 1)
    assert over.used_up == ("2026-11-18", True)
    assert "; used up on 2026-11-18 (estimated)" in alone(over).text
    (found,) = [each for each in problems(over) if each.kind == Kind.OVER_BUDGET]
    assert found.detail.endswith("; the date is an estimate")


def test_a_month_that_costs_less_than_nothing_is_shown_as_that() -> None:
    """After a large credit: no share of the budget is below the bar's start."""
    html = alone(changed(report([usual()]).months[0], usd=-12.5, costs=None))
    assert "So far\N{MINUS SIGN}$12.50" in html.text
    assert "$342.50 left" in html.text
    assert not any(value.startswith("-") for name, value in html.attributes if name == "width")


def test_estimates_have_no_highest_bar() -> None:
    """They are alike, so the first of them would be it."""
    assert "The highest bar" not in page(report([new()])).text


def test_on_the_first_of_a_month_no_day_is_over() -> None:
    """That is why there is nothing to compare."""
    (one,) = report([usual()]).months
    days = one.days._replace(until=one.days.first)
    html = alone(replace(one, compared=None, days=days))
    assert "Against the month beforeunknownno day of this month is over yet" in html.text
