"""The forecasts of running exporters, or of one that is stopped: the numbers that they show."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from exporter.config import Config
from exporter.forecast.methods import words
from exporter.forecast.outlook import Said
from exporter.metrics import cents
from exporter.model import FoundOrganization
from exporter.tool import bills, ledger_sources, outcomes, output
from exporter.tool.api_answers import WholeOrganization
from exporter.tool.errors import DONE, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.ledger_sources import Ledgers, LedgersRead, Place
from exporter.tool.output import Column, Row, printable

NOT_YET = "not known yet"  # in place of the error of a method that no past has judged
SHOWN = 0.01  # of the weight: methods that count for less are left out of tables
NOWHERE = (
    #: `viam-billing usage` has a forecast from the bill alone.
    "give --exporter=URL of a running exporter, --storage.path=DIR of a stopped one, or "
    "--history=FILE of past answers"
)


def show(arguments: argparse.Namespace) -> int:
    """Print what the ledgers that are named expect. Returns the exit code."""
    if not ledger_sources.is_named(arguments):
        raise CommandError(NOWHERE, WRONG_USAGE)
    config = None
    if arguments.exporters and arguments.config_file is None:
        bills.keep_secrets()
    else:
        config = bills.find_configuration(arguments)
    with ledger_sources.named(arguments) as place:
        found = bills.run(_read(place, config, arguments))
    ordered = sorted(found.made, key=lambda each: (each.org_name.casefold(), each.org_id))
    if arguments.output == "json":
        organizations = [each.model_dump() for each in ordered]
        output.write_json(
            {"organizations": organizations, "failures": outcomes.plain(found.failures)}
        )
    else:
        _table(ordered, outcomes.total_of(ordered, found.failures))
    outcomes.report(found.failures)
    failing = [(each, failure) for each in ordered for failure in each.failures]
    for each, failure in failing:
        complain(printable(f"{each.org_name}: {failure.collector}: {failure.reason}"))
    return FAILED if found.failures or failing else DONE


async def _read(
    place: Place | None, config: Config | None, arguments: argparse.Namespace
) -> LedgersRead[WholeOrganization]:
    assert place is not None  # noqa: S101 - it is named

    async def whole(ledgers: Ledgers, organization: FoundOrganization) -> WholeOrganization:
        return await ledgers.whole(organization.id)

    found = await ledger_sources.read(
        place, arguments.organizations, whole, config, arguments.clock
    )
    place.say_read(found.failures)
    known = [FoundOrganization(each.org_id, each.org_name) for each in found.made]
    outcomes.require(arguments.organizations, known, found.failures)
    return found


def _table(every: Sequence[WholeOrganization], total_of: str) -> None:
    money = output.money
    columns = (
        Column("Organization"),
        *(
            Column(title, number=True)
            for title in ("Month to date", "Forecast", "Lower", "Upper", "Budget")
        ),
        Column("Used up on"),
    )
    rows = [
        Row(
            (
                each.org_name,
                money(each.month_to_date_usd) or "unknown",
                money(each.forecast_usd) or "unknown",
                money(each.forecast_lower_usd),
                money(each.forecast_upper_usd),
                money(each.budget_usd),
                (each.budget_exhausted_at or "")[:10]
                + (" (estimated)" if each.budget_exhausted_is_estimated else ""),
            ),
            alarming=each.budget_usd is not None
            and (each.forecast_lower_usd or 0.0) > each.budget_usd,
        )
        for each in every
    ]
    known = [each.forecast_usd for each in every if each.forecast_usd is not None]
    spent = [each.month_to_date_usd for each in every if each.month_to_date_usd is not None]
    title = outcomes.with_forecasts(total_of, [each.forecast_usd for each in every])
    sums = (money(cents.total(usds) if usds else None) for usds in (spent, known))
    total = (title, *sums, "", "", "", "")
    if len(every) == 1:
        output.show(columns, rows)
        _explain(every[0])
    else:
        output.show(columns, rows, total)


def _explain(one: WholeOrganization) -> None:
    """Print how the forecast of an organization is made."""
    error = one.forecast_closed_period_error
    if error is not None:
        side = "high" if error > 0 else "low"
        off = f"{output.percent(abs(error))} too {side}"
        print(f"\nIn the middle of the last period, the forecast was {off}.")
    if one.forecast_methods:
        print()
        show_methods(
            Said(each.name, each.forecast_usd or 0.0, each.weight, each.past_error)
            for each in one.forecast_methods
        )


def show_methods(methods: Iterable[Said]) -> None:
    """Print what methods say, but for those that hardly count."""
    columns = (
        Column("Method"),
        *(Column(title, number=True) for title in ("Weight", "Past error", "Forecast")),
    )
    rows = [
        (words(name), output.percent(weight), output.percent(error) or NOT_YET, output.money(usd))
        for name, usd, weight, error in methods
        if weight >= SHOWN
    ]
    output.show(columns, [Row(row) for row in rows])
