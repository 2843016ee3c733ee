"""What happens in the quarter: which bills there are, and which calls fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.model import Cause
from exporter.pb import billing_pb2 as pb
from exporter.simulator import Account, demo_fleet, ledger
from support.quarter.world import DAY, HOUR, AccountsReader, Life, World
from support.reader import BILLING, INVOICES, USAGE

START: Final = datetime(2026, 8, 24, tzinfo=UTC).timestamp()
END: Final = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()

OUTAGE: Final = datetime(2026, 10, 12, 6, tzinfo=UTC).timestamp()
OUTAGE_ENDS: Final = OUTAGE + 14 * HOUR
UNKNOWN_TYPE: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
BUSIER: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CHARGED_LATER: Final = datetime(2026, 11, 19, 9, tzinfo=UTC).timestamp()
INVOICE_TWICE: Final = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
LOST_PERMISSION: Final = END - 30 * HOUR
THROTTLED: Final = END - 7 * HOUR
THROTTLED_ENDS: Final = THROTTLED + 2 * HOUR

OVER_BUDGET, DECLINED, BANK, CREDITED, FRAGMENTS, FREE, DEPRECATED, GROSS = ACCOUNTS = demo_fleet(1)
UNKNOWN_NUMBER: Final = 99  # no enum of ours has it


def account_at(account: Account, moment: float) -> Account:
    """Return an account as it stands at a moment: two of them change their pace."""
    if account.id == GROSS.id and moment >= BUSIER:
        return _faster(account, 0, 1.6)
    if account.id == FRAGMENTS.id and moment >= CHARGED_LATER:
        return _faster(account, 3, 1.9)  # also for the days before: a charge that came late
    return account


def month_to_date(account: Account, moment: float) -> float:
    """Return what the account's period has cost up to a moment, by the simulator's ledger."""
    return ledger.usage(account_at(account, moment), moment).net


def _faster(account: Account, index: int, factor: float) -> Account:
    sources = list(account.sources)
    paces = (replace(p, usd_per_day=p.usd_per_day * factor) for p in sources[index].paces)
    sources[index] = replace(sources[index], paces=tuple(paces))
    return replace(account, sources=tuple(sources))


class StoryReader(AccountsReader):
    """Answers from the simulator's ledger, and fails, as the story says."""

    def failure(self, rpc: ReadRpc, account: Account, now: float) -> BillingError | None:
        """Return what a call fails with."""
        if OUTAGE <= now < OUTAGE_ENDS:
            return BillingError(Cause.OUTAGE, "UNAVAILABLE", "an outage", transient=True)
        if account.id == DEPRECATED.id and rpc is BILLING and now >= LOST_PERMISSION:
            return BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "no longer an owner")
        if account.id == CREDITED.id and rpc is INVOICES and THROTTLED <= now < THROTTLED_ENDS:
            return BillingError(Cause.THROTTLED, "RESOURCE_EXHAUSTED", "too many", transient=True)
        return None

    def answer(self, rpc: ReadRpc, account: Account, now: float) -> bytes:
        """Return the answer to a call, with what the story changes of it."""
        if rpc is USAGE:
            found = super().answer(rpc, account_at(account, now), now)
            if account.id == FRAGMENTS.id and now >= UNKNOWN_TYPE:
                usage = pb.GetCurrentMonthUsageResponse.FromString(found)
                _rename_last_type(usage)
                return usage.SerializeToString()
            return found
        found = super().answer(rpc, account, now)
        if rpc is INVOICES and account.id == CREDITED.id and now >= INVOICE_TWICE:
            summary = pb.GetInvoicesSummaryResponse.FromString(found)
            summary.invoices.append(summary.invoices[0])
            return summary.SerializeToString()
        return found


def _rename_last_type(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Give the last cost of the organization's own a type that is newer than this exporter."""
    own = answer.resource_usage_costs_by_source[0].resource_usage_costs
    own.usage_costs[-1].ClearField("resource_type")
    number = b"\x08" + bytes([UNKNOWN_NUMBER])
    own.usage_costs[-1].MergeFromString(number)


# A machine is replaced in September, for which a scrape fails: at noon, since samples two hours
# apart would say too little of the days on both sides of a midnight. Polls are made more frequent
# in November. On the last day the exporter is upgraded, and two of the finer scrapes fail.
LIVES: Final = (
    Life(START, START + 24.5 * DAY - 0.5 * HOUR, 3 * HOUR),
    Life(START + 24.5 * DAY + 0.5 * HOUR, END - 3 * DAY - HOUR, 3 * HOUR),
    Life(END - 3 * DAY - HOUR + 60, END - 9 * HOUR, 0.5 * HOUR),
    Life(END - 9 * HOUR + 520, END + 1, 0.25 * HOUR),
)
QUARTER: Final = World(ACCOUNTS, START, END, LIVES, StoryReader, shards=2)
