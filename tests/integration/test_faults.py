"""The fault matrix: every fault that a server can cause, what the exporter does, and recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from exporter.simulator import demo_fleet
from exporter.simulator.scenarios import SCENARIOS, Kind
from support.live import Live, Samples, live

DEMO = demo_fleet(1)
HIT, OTHER, OLDER = DEMO[3], DEMO[4], DEMO[6]  # with a credit, with fragments, of the older shape
ACCOUNTS = (HIT, OTHER, OLDER)

# Faults of GetInvoicePdf, which the exporter does not call.
OF_DOCUMENTS = {"broken-stream", "short-stream"}

UP = "viam_billing_up"
FAILURE = "viam_billing_collector_failure"
WITHHELD = "viam_billing_withheld_samples"
MONTH_TO_DATE = "viam_billing_usage_month_to_date_usd"


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on an event loop of its own."""
    asyncio.run(scenario())


def of(samples: Samples, metric: str, org_id: str, **labels: str) -> list[float]:
    """Return the values of an organization's series with these labels."""
    wanted = {"org_id": org_id, **labels}.items()
    return [v for key, v in samples.get(metric, {}).items() if wanted <= dict(key).items()]


def causes(samples: Samples, org_id: str) -> dict[str, str]:
    """Return why which collector of an organization fails."""
    labels = [dict(key) for key in samples.get(FAILURE, {})]
    return {one["collector"]: one["cause"] for one in labels if one["org_id"] == org_id}


def all_up(samples: Samples) -> bool:
    """Tell whether every organization is up."""
    return [*samples.get(UP, {}).values()] == [1.0] * len(ACCOUNTS)


# --- Calls that fail: by what cause it is shown; others go on ---

CAUSES = {
    "unavailable": "outage",
    "deadline-exceeded": "outage",
    "aborted": "outage",
    "internal": "outage",
    "unknown": "outage",
    "hang": "outage",
    "resource-exhausted": "throttled",
    "unauthenticated": "credentials",
    "permission-denied": "permission",
    "cancelled": "other",
    "invalid-argument": "other",
    "not-found": "other",
    "failed-precondition": "other",
    "out-of-range": "other",
    "already-exists": "other",
    "unimplemented": "other",
    "data-loss": "other",
    "huge": "invalid_answer",
    "garbage": "invalid_answer",
    "crowded": "invalid_answer",
    "long-trailers": "invalid_answer",
}


@pytest.mark.parametrize(("fault", "cause"), CAUSES.items(), ids=CAUSES)
def test_a_call_that_fails_is_shown_by_its_cause(fault: str, cause: str) -> None:
    """One collector of one organization; its values stay, all others go on, and it recovers."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            before = await it.until(all_up, "all are up")
            method = "GetInvoicesSummary"
            injected = it.simulator.inject(f"{fault}:method={method},organization={HIT.id}")
            failing = await it.until(
                lambda page: causes(page, HIT.id) == {"invoices": cause}, f"invoices: {cause}"
            )
            assert of(failing, UP, HIT.id) == [0.0]
            for account in (OTHER, OLDER):
                assert of(failing, UP, account.id) == [1.0]
            balance = "viam_billing_outstanding_balance_usd"
            assert of(failing, balance, HIT.id) == of(before, balance, HIT.id) != []
            injected.clear()
            await it.until(all_up, "it has recovered")

    run(scenario)


# --- Faults that nobody sees, because a poll goes on after them ---

UNSEEN = {
    "slow": "slow:delay=200ms",
    "short-lived-tokens": "short-lived-tokens:lifetime=500ms",
    "expired-token": "expired-token:times=1",  # else another call may have used the next one
    "revoked-tokens": "revoked-tokens:times=1",
    "unavailable (one in four)": "unavailable:every=4,method=GetCurrentMonthUsage"
    f",organization={HIT.id}",
    "aborted (once)": "aborted:times=1",
    "internal (once)": "internal:times=1",
    "frozen": "frozen",
    "shuffled-invoices": "shuffled-invoices",
}


@pytest.mark.parametrize("fault", UNSEEN.values(), ids=UNSEEN)
def test_a_fault_that_a_poll_survives_is_never_shown(fault: str) -> None:
    """Ten rounds of polls, all up on every page."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            await it.until(all_up, "all are up")
            it.simulator.inject(fault)
            asked = it.simulator.calls["GetCurrentMonthUsage"]

            def ten_rounds(page: Samples) -> bool:
                assert FAILURE not in page, page[FAILURE]
                return it.simulator.calls["GetCurrentMonthUsage"] > asked + 10 * len(ACCOUNTS)

            await it.until(ten_rounds, "ten rounds")

    run(scenario)


# --- Authentication ---


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("wrong-key", "credentials"),
        ("refused-token", "credentials"),
        ("odd-token", "invalid_answer"),
    ],
    ids=["wrong-key", "refused-token", "odd-token"],
)
def test_a_key_that_gets_no_token_of_use_is_shown(fault: str, cause: str) -> None:
    """For all its organizations and collectors, and it recovers without a restart."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            await it.until(all_up, "all are up")
            injected = it.simulator.inject(fault)
            it.simulator.revoke_tokens()
            everything = dict.fromkeys(("usage", "billing_information", "invoices"), cause)
            await it.until(
                lambda page: all(causes(page, a.id) == everything for a in ACCOUNTS),
                f"all collectors fail with {cause}",
            )
            injected.clear()
            await it.until(all_up, "it has recovered")

    run(scenario)


# --- Answers that are wrong: (what is injected, what the page says) ---

Effect = Callable[[Samples, Samples], bool]


def withheld(reason: str) -> Effect:
    """Samples are withheld for a reason."""
    return lambda _, page: bool(of(page, WITHHELD, HIT.id, reason=reason))


def absent(metric: str) -> Effect:
    """A metric is not there."""
    return lambda _, page: not of(page, f"viam_billing_{metric}", HIT.id)


def moves(counter: str) -> Effect:
    """A counter is above 0."""
    return lambda _, page: sum(of(page, f"viam_billing_usage_{counter}_usd_total", HIT.id)) > 0


def empty(_: Samples, page: Samples) -> bool:
    """A good answer without anything is 0, which is not nothing."""
    return of(page, MONTH_TO_DATE, HIT.id) == [0.0] and of(page, UP, HIT.id) == [1.0]


def labelled(metric: str, **labels: str) -> Effect:
    """A series has these labels."""
    return lambda _, page: bool(of(page, f"viam_billing_{metric}", HIT.id, **labels))


def unknown_types(_: Samples, page: Samples) -> bool:
    """Costs of new types are there under their numbers, and counted."""
    costs = page.get("viam_billing_usage_cost_usd", {})
    return any(dict(key)["resource_type"].startswith("unknown_") for key in costs) and bool(
        sum(page["viam_billing_exporter_unknown_enum_values_total"].values())
    )


def negative(_: Samples, page: Samples) -> bool:
    """A negative amount is shown as it is, and owed by nobody."""
    unpaid = of(page, "viam_billing_invoices_unpaid", HIT.id)
    return any(value < 0 for value in of(page, MONTH_TO_DATE, HIT.id)) and unpaid == [0.0]


def absurd(_: Samples, page: Samples) -> bool:
    """The amount is shown as it is, and no counter takes it in."""
    spend = of(page, "viam_billing_usage_spend_usd_total", HIT.id)
    return of(page, MONTH_TO_DATE, HIT.id) == [1e300] and sum(spend) < 1e6


def same_sum(before: Samples, page: Samples) -> bool:
    """Month to date did not double or halve."""
    (was,), (now,) = of(before, MONTH_TO_DATE, HIT.id), of(page, MONTH_TO_DATE, HIT.id)
    return was <= now < was * 1.01


def same_spend_under_another_tier(before: Samples, page: Samples) -> bool:
    """Costs moved to other labels, and spend did not."""
    metric = "viam_billing_usage_cost_usd"
    moved = before[metric].keys() != page[metric].keys()
    return moved and not sum(of(page, "viam_billing_usage_corrections_usd_total", HIT.id))


def page_parses(_: Samples, page: Samples) -> bool:
    """Whatever the texts are, the page is whole."""
    return of(page, UP, HIT.id) == [1.0]


def earlier_period(before: Samples, page: Samples) -> bool:
    """The period is shown as given, and counts nothing."""
    start = "viam_billing_usage_period_start_timestamp_seconds"
    (was,), (now,) = of(before, start, HIT.id), of(page, start, HIT.id)
    return now < was and sum(of(page, "viam_billing_usage_spend_usd_total", HIT.id)) < 1


WRONG: dict[str, tuple[str, Effect]] = {
    "nan": ("nan:method=GetCurrentMonthUsage", withheld("nan")),
    "infinity": ("infinity:method=GetInvoicesSummary", withheld("infinity")),
    "negative": ("negative", negative),
    "absurd": ("absurd", absurd),
    "empty": ("empty:method=GetCurrentMonthUsage", empty),
    "unknown-enums": ("unknown-enums", unknown_types),
    "odd-texts": ("odd-texts", page_parses),
    "missing-dates": ("missing-dates", absent("usage_period_start_timestamp_seconds")),
    "zero-dates": ("zero-dates", absent("usage_period_end_timestamp_seconds")),
    "deprecated-only": ("deprecated-only", labelled("usage_cost_usd", source_type="org", tier="")),
    "duplicate-sources": ("duplicate-sources", same_sum),
    "vanishing-cost": ("vanishing-cost", moves("resource_corrections")),
    "tier-change": ("tier-change", same_spend_under_another_tier),
    "credit": ("credit:usd=25", moves("corrections")),
    "duplicate-invoices": ("duplicate-invoices", withheld("duplicate")),
    "period-in-past": ("period-in-past", earlier_period),
    "period-not-advancing": ("period-not-advancing", same_sum),
}


@pytest.mark.parametrize(("fault", "effect"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_never_a_wrong_number(fault: str, effect: Effect) -> None:
    """What cannot be trusted is withheld and counted; what can is shown, and others go on."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            before = await it.until(all_up, "all are up")
            separator = "," if ":" in fault else ":"
            injected = it.simulator.inject(f"{fault}{separator}organization={HIT.id}")
            page = await it.until(lambda page: effect(before, page), f"the effect of {fault}")
            for account in (OTHER, OLDER):
                assert of(page, UP, account.id) == [1.0]
                assert not of(page, WITHHELD, account.id)
            injected.clear()
            await it.until(
                lambda page: all_up(page) and not of(page, WITHHELD, HIT.id), "it has recovered"
            )

    run(scenario)


def test_a_truncated_answer_is_no_crash() -> None:
    """What still parses is an answer like any other; what does not is an invalid one."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            await it.until(all_up, "all are up")
            injected = it.simulator.inject(f"truncated:organization={HIT.id}")
            asked = it.simulator.calls["GetInvoicesSummary"]

            def five_rounds(page: Samples) -> bool:
                assert set(causes(page, HIT.id).values()) <= {"invalid_answer"}
                return it.simulator.calls["GetInvoicesSummary"] > asked + 5 * len(ACCOUNTS)

            await it.until(five_rounds, "five rounds")
            injected.clear()
            await it.until(all_up, "it has recovered")

    run(scenario)


# --- Connections ---

CONNECTIONS = {
    "lost-message": "lost-message",
    "flood": "flood",
    "refuse": "refuse",
    "close": "close",
    "reset": "reset",
    "blackhole": "blackhole",
    "goaway": "goaway",
    "http-502": "http-502:http=2",
    "http-502 over HTTP/1.1": "http-502:http=1",
    "dribble": "dribble",
    "noise": "noise",
}


@pytest.mark.parametrize("fault", CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_broken_connection_is_an_outage_and_is_recovered_from(fault: str) -> None:
    """No value is lost meanwhile, and no restart is needed.

    GOAWAY and what means nothing are not even noticed.
    """

    async def scenario() -> None:
        async with live(ACCOUNTS, front=True) as it:
            before = await it.until(all_up, "all are up")
            injected = it.simulator.inject(fault)
            if fault in {"goaway", "flood"}:
                asked = it.simulator.calls["GetCurrentMonthUsage"]
                await it.until(
                    lambda _: it.simulator.calls["GetCurrentMonthUsage"] > asked + 20, "20 calls"
                )
            else:
                failing = await it.until(lambda page: FAILURE in page, "something fails")
                shown = {dict(key)["cause"] for key in failing[FAILURE]}
                lost = {"invalid_answer"} if fault == "lost-message" else set()
                assert shown <= {"outage", "other", "throttled"} | lost, shown
                assert failing[MONTH_TO_DATE].keys() == before[MONTH_TO_DATE].keys()
            injected.clear()
            await it.until(all_up, "it has recovered")

    run(scenario)


def covered() -> set[str]:
    """Return the faults of the catalogue that a test here injects."""
    faults = [*CAUSES, *UNSEEN.values(), *(fault for fault, _ in WRONG.values())]
    faults += [*CONNECTIONS.values(), "wrong-key", "refused-token", "odd-token", "truncated"]
    return {fault.partition(":")[0] for fault in faults}


def test_every_fault_of_the_simulator_is_in_the_matrix() -> None:
    """But those of a call that the exporter does not make."""
    assert {s.name for s in SCENARIOS.values() if s.kind in set(Kind)} - OF_DOCUMENTS == covered()


def test_the_harness_sees_an_exporter() -> None:
    """Else its conditions could be true of nothing."""

    async def scenario() -> None:
        async with live(ACCOUNTS) as it:
            page = await it.until(all_up, "all are up")
            assert len(page) > 50
            assert isinstance(it, Live)

    run(scenario)
