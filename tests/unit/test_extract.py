"""The API's traps, one by one."""

from __future__ import annotations

import math
from calendar import monthrange
from datetime import UTC, date, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.extract.invoices import Place, place, same_kind
from exporter.metrics.extract.invoices import view as view_invoices
from exporter.metrics.extract.usage import view as view_usage
from exporter.metrics.extract.values import label_text
from exporter.metrics.samples import apply
from exporter.model import InvoiceDetail, MetricSpec
from exporter.pb import billing_pb2 as pb

NOW = 1_795_435_200.0  # 2026-11-23T12:00:00Z
DAY = 86_400.0

Labels = tuple[str, ...]


def samples(name: str, answer: object, now: float = NOW, **detail: object) -> dict[Labels, float]:
    """Return what a metric says of an answer, by the labels after org_id and org_name."""
    for collector in COLLECTORS:
        for spec in collector.specs:
            if spec.name == f"viam_billing_{name}":
                view = collector.view(answer, now, InvoiceDetail(**detail))  # type: ignore[arg-type]
                return dict(apply(spec, view)[0])
    raise LookupError(name)


def withheld(name: str, answer: object) -> dict[str, int]:
    """Return what a metric withholds of an answer, by reason."""
    for collector in COLLECTORS:
        for spec in collector.specs:
            if spec.name == f"viam_billing_{name}":
                view = collector.view(answer, NOW, InvoiceDetail())
                return dict(apply(spec, view)[1])
    raise LookupError(name)


def source(
    *costs: tuple[int, float],
    source_type: int = pb.SOURCE_TYPE_ORG,
    tier: str = "",
    net: float = 0.0,
    discount: float = 0.0,
    gross: float = 0.0,
) -> pb.ResourceUsageCostsBySource:
    """Return a source with these (resource type, cost) lines and totals."""
    return pb.ResourceUsageCostsBySource(
        source_type=source_type,  # type: ignore[arg-type]
        tier_name=tier,
        resource_usage_costs=pb.ResourceUsageCosts(
            usage_costs=[pb.UsageCost(resource_type=kind, cost=cost) for kind, cost in costs],  # type: ignore[arg-type]
            discount=discount,
            total_with_discount=net,
            total_without_discount=gross,
        ),
    )


def usage(
    *sources: pb.ResourceUsageCostsBySource, **fields: float
) -> pb.GetCurrentMonthUsageResponse:
    """Return a usage answer."""
    return pb.GetCurrentMonthUsageResponse(resource_usage_costs_by_source=sources, **fields)  # type: ignore[arg-type]


def invoice(  # noqa: PLR0913 - a message's fields
    invoice_id: str = "i",
    usd: float = 10.0,
    status: str = "outstanding",
    *,
    issued: float | None = None,
    due: float | None = None,
    paid: float | None = None,
    reason: str = "",
    failed: float | None = None,
) -> pb.InvoiceSummary:
    """Return an invoice; times are Unix seconds."""

    def stamp(seconds: float | None) -> Timestamp | None:
        return None if seconds is None else Timestamp(seconds=int(seconds))

    return pb.InvoiceSummary(
        id=invoice_id,
        invoice_amount=usd,
        status=status,
        invoice_date=stamp(issued),
        due_date=stamp(due),
        paid_date=stamp(paid),
        last_payment_failure_reason=reason,
        last_payment_failure_at=stamp(failed),
    )


def invoices(*summaries: pb.InvoiceSummary, balance: float = 0.0) -> pb.GetInvoicesSummaryResponse:
    """Return an invoices answer."""
    return pb.GetInvoicesSummaryResponse(invoices=summaries, outstanding_balance=balance)


# --- Usage ---


def test_a_source_and_a_resource_type_that_come_twice_are_summed() -> None:
    """Sources carry no id: equal labels add up instead of becoming duplicate series."""
    answer = usage(
        source((8, 1.5), (8, 2.0), net=3.0),
        source((8, 0.25), net=0.5),
        source((8, 4.0), tier="gold", net=7.0),
    )
    assert samples("usage_cost_usd", answer) == {
        ("org", "", "per_machine"): 3.75,
        ("org", "gold", "per_machine"): 4.0,
    }
    assert samples("usage_net_cost_usd", answer) == {("org", ""): 3.5, ("org", "gold"): 7.0}
    assert samples("usage_month_to_date_usd", answer) == {(): 10.5}


def test_unknown_enum_numbers_keep_their_cost_apart() -> None:
    """An enum that grew keeps its number in the label, and two unknowns do not collide."""
    answer = usage(source((91, 1.0), (92, 2.0), source_type=7))
    assert samples("usage_cost_usd", answer) == {
        ("unknown_7", "", "unknown_91"): 1.0,
        ("unknown_7", "", "unknown_92"): 2.0,
    }
    assert view_usage(answer).unknown_enums == {"SourceType": 1, "UsageCostType": 2}


def test_sums_are_exact() -> None:
    """Ten dimes are a dollar, in whatever order they come."""
    answer = usage(*(source((8, 0.1), net=0.1) for _ in range(10)))
    assert samples("usage_cost_usd", answer) == {("org", "", "per_machine"): 1.0}
    assert samples("usage_month_to_date_usd", answer) == {(): 1.0}


@pytest.mark.parametrize(
    ("bad", "reason"), [(math.nan, "nan"), (math.inf, "infinity"), (-math.inf, "infinity")]
)
def test_a_sum_with_a_part_that_is_no_number_is_withheld_whole(bad: float, reason: str) -> None:
    """Half a sum would be a wrong number: it is withheld and counted."""
    answer = usage(source((8, 1.0), (8, bad), (3, 2.0), net=bad), source(net=5.0, tier="t"))
    assert samples("usage_cost_usd", answer) == {("org", "", "remote_control"): 2.0}
    assert withheld("usage_cost_usd", answer) == {reason: 1}
    assert samples("usage_net_cost_usd", answer) == {("org", "t"): 5.0}
    assert samples("usage_month_to_date_usd", answer) == {}
    assert withheld("usage_month_to_date_usd", answer) == {reason: 1}
    assert samples("usage_reconciliation_difference_usd", answer) == {}


def test_a_sum_beyond_what_a_double_holds_is_withheld() -> None:
    """Finite parts can have a sum that is not."""
    answer = usage(source((8, 1e308), (8, 1e308)))
    assert samples("usage_cost_usd", answer) == {}
    assert withheld("usage_cost_usd", answer) == {"infinity": 1}


def test_a_source_without_costs_has_no_series() -> None:
    """An absent message is no cost of 0; month to date of a good answer still is 0."""
    answer = usage(pb.ResourceUsageCostsBySource(source_type=pb.SOURCE_TYPE_ORG))
    for name in ("usage_cost_usd", "usage_gross_cost_usd", "usage_net_cost_usd"):
        assert samples(name, answer) == {}
    assert samples("usage_month_to_date_usd", answer) == {(): 0.0}


def test_deprecated_totals_count_only_without_sources() -> None:
    """The older shape repeats what the sources say: never add both."""
    deprecated = {
        "per_machine_usage_cost": 3.0,
        "data_upload_usage_cost": 1.0,
        "data_egres_usage_cost": 0.5,
        "total_usage_without_discount": 4.5,
        "discount_amount": 0.5,
        "total_usage_with_discount": 4.0,
    }
    assert samples("usage_cost_usd", usage(**deprecated)) == {
        ("org", "", "per_machine"): 3.0,
        ("org", "", "data_upload"): 1.0,
        ("org", "", "data_egress"): 0.5,
    }
    assert samples("usage_gross_cost_usd", usage(**deprecated)) == {("org", ""): 4.5}
    assert samples("usage_discount_usd", usage(**deprecated)) == {("org", ""): 0.5}
    assert samples("usage_month_to_date_usd", usage(**deprecated)) == {(): 4.0}
    both = usage(source((8, 3.0), net=3.0), **deprecated)
    assert samples("usage_cost_usd", both) == {("org", "", "per_machine"): 3.0}
    assert samples("usage_month_to_date_usd", both) == {(): 3.0}


def test_cloud_storage_is_left_out_beside_its_parts() -> None:
    """cloud_storage is the sum of binary and other: showing all three counts it twice."""
    whole = usage(cloud_storage_usage_cost=5.0)
    assert samples("usage_cost_usd", whole) == {("org", "", "cloud_storage"): 5.0}
    for part in ("binary_data_cloud_storage", "other_cloud_storage"):
        answer = usage(cloud_storage_usage_cost=5.0, **{f"{part}_usage_cost": 5.0})
        assert samples("usage_cost_usd", answer) == {("org", "", part): 5.0}


def test_totals_of_the_older_shape_are_given_when_anything_is() -> None:
    """Any deprecated field that is not zero means that the shape is in use."""
    answer = usage(remote_control_usage_cost=2.0)
    assert samples("usage_net_cost_usd", answer) == {("org", ""): 0.0}
    assert samples("usage_net_cost_usd", usage()) == {}


def test_subtotal_is_exported_as_given() -> None:
    """The API does not define it; a difference is shown, never an error."""
    answer = usage(source(net=10.0), subtotal=12.5)
    assert samples("usage_subtotal_usd", answer) == {(): 12.5}
    assert samples("usage_reconciliation_difference_usd", answer) == {(): 2.5}


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (Timestamp(seconds=1_793_491_200), {(): 1_793_491_200.0}),
        (Timestamp(seconds=1, nanos=500_000_000), {(): 1.5}),
        (Timestamp(), {}),
        (Timestamp(seconds=-62_135_596_800), {}),  # year 1: the zero time of Go
        (None, {}),
    ],
)
def test_times_at_or_below_zero_are_unset(
    timestamp: Timestamp | None, expected: dict[Labels, float]
) -> None:
    """A zero time of another language leaks as a negative one."""
    answer = pb.GetCurrentMonthUsageResponse(start_date=timestamp, end_date=timestamp)
    assert samples("usage_period_start_timestamp_seconds", answer) == expected
    assert samples("usage_period_end_timestamp_seconds", answer) == expected


def test_at_most_twenty_tiers_have_labels_of_their_own() -> None:
    """Labels are bounded: the rest is summed as `other`, whatever the order."""
    sources = [source(net=1.0, tier=f"t{n:02}") for n in range(25)]
    expected = {("org", f"t{n:02}"): 1.0 for n in range(20)} | {("org", "other"): 5.0}
    assert samples("usage_net_cost_usd", usage(*sources)) == expected
    assert samples("usage_net_cost_usd", usage(*reversed(sources))) == expected
    assert samples("usage_month_to_date_usd", usage(*sources)) == {(): 25.0}


def test_label_text_is_kept_but_cut_and_made_utf8() -> None:
    """Text from the API stays as it is, up to 256 characters and what UTF-8 can hold."""
    assert label_text('a\n"\\é') == 'a\n"\\é'
    assert label_text("x" * 300) == "x" * 256
    assert label_text("a\ud800b") == "a\ufffdb"


# --- Billing information ---


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pb.PAYMENT_METHOD_TYPE_CARD, ("card", "visa")),
        (pb.PAYMENT_METHOD_TYPE_USBANKACCOUNT, ("us_bank_account", "")),
        (pb.PAYMENT_METHOD_TYPE_UNSPECIFIED, ("none", "")),
        (17, ("unknown_17", "")),
    ],
)
def test_the_brand_is_for_cards_only(kind: int, expected: Labels) -> None:
    """Whatever else is in the answer, only a card has a brand."""
    answer = pb.GetOrgBillingInformationResponse(
        type=kind,  # type: ignore[arg-type]
        method=pb.PaymentMethodCard(brand="visa", last_four_digits="4242"),
    )
    assert samples("payment_method_info", answer) == {expected: 1.0}


def test_verification_is_pending_while_the_api_says_so() -> None:
    """verification_info is present only while a bank account is not verified."""
    bank = pb.PaymentMethodUSBankAccount(bank_name="b")
    name = "payment_method_verification_pending"
    answer = pb.GetOrgBillingInformationResponse(
        type=pb.PAYMENT_METHOD_TYPE_USBANKACCOUNT, method_us_bank_account=bank
    )
    assert samples(name, answer) == {(): 0.0}
    answer.method_us_bank_account.verification_info.SetInParent()
    assert samples(name, answer) == {(): 1.0}
    assert samples(name, pb.GetOrgBillingInformationResponse()) == {(): 0.0}


# --- Invoices ---


def test_statuses_are_free_text_in_any_case() -> None:
    """Known statuses are always there; what is new becomes `other` and stays unpaid."""
    answer = invoices(
        invoice("a", 1.0, "PAID"),
        invoice("b", 2.0, "Outstanding"),
        invoice("c", 4.0, "payment_processing"),
        invoice("d", 8.0, "Overdue"),
        invoice("e", 16.0, "Free"),
        invoice("f", 32.0, "VOID"),
        invoice("g", 64.0, ""),
    )
    assert samples("invoices", answer) == {
        ("paid",): 1,
        ("outstanding",): 1,
        ("payment_processing",): 1,
        ("other",): 4,
    }
    assert samples("invoices_amount_usd", answer)[("other",)] == 8.0 + 16 + 32 + 64
    assert samples("invoices_unpaid", answer) == {(): 4}
    assert samples("invoices_unpaid_amount_usd", answer) == {(): 2.0 + 4 + 8 + 64}


def test_no_invoices_are_zeros_not_gaps() -> None:
    """A good answer without invoices says 0, so that alerts can compare."""
    answer = invoices()
    assert set(samples("invoices", answer).values()) == {0}
    assert set(samples("invoices_payment_failed", answer).values()) == {0}
    for name in ("invoices_unpaid", "invoices_overdue", "invoices_overdue_amount_usd"):
        assert samples(name, answer) == {(): 0}
    for name in (
        "invoice_next_due_timestamp_seconds",
        "invoice_oldest_unpaid_due_timestamp_seconds",
        "invoice_latest_amount_usd",
        "payment_last_failure_timestamp_seconds",
        "invoice_amount_usd",
    ):
        assert samples(name, answer) == {}


def test_credits_and_strange_amounts_are_not_unpaid() -> None:
    """Unpaid is finite and above 0; an amount that is no number is withheld and counted."""
    answer = invoices(
        invoice("credit", -5.0), invoice("zero", 0.0), invoice("nan", math.nan, "paid")
    )
    assert samples("invoices_unpaid", answer) == {(): 0}
    assert samples("invoices", answer)[("paid",)] == 1
    assert ("paid",) not in samples("invoices_amount_usd", answer)
    assert withheld("invoices_amount_usd", answer) == {"nan": 1}


def test_an_invoice_becomes_overdue_when_its_due_date_passes() -> None:
    """The same answer reads otherwise later, and says when."""
    due = NOW + DAY
    answer = invoices(
        invoice("a", 10.0, due=due), invoice("b", 5.0, due=NOW + 2 * DAY), invoice("c")
    )
    assert samples("invoices_overdue", answer) == {(): 0}
    assert samples("invoice_next_due_timestamp_seconds", answer) == {(): due}
    assert samples("invoices_overdue", answer, now=due) == {(): 1}
    assert samples("invoices_overdue_amount_usd", answer, now=due) == {(): 10.0}
    assert samples("invoice_next_due_timestamp_seconds", answer, now=due) == {(): due + DAY}
    assert samples("invoice_oldest_unpaid_due_timestamp_seconds", answer, now=due) == {(): due}
    assert view_invoices(answer, NOW, detail="open", limit=9).next_change == due
    assert view_invoices(answer, NOW + 3 * DAY, detail="open", limit=9).next_change is None


def test_payments_fail_by_reason_or_by_time() -> None:
    """A reason or a time makes a failure; what is unknown is `other`; paid invoices heal."""
    answer = invoices(
        invoice("a", 1.0, reason="card_declined", failed=NOW - 9),
        invoice("b", 2.0, reason="Card_Declined"),
        invoice("c", 4.0, reason="brand_new_reason"),
        invoice("d", 8.0, failed=NOW - 5),
        invoice("e", 16.0),
        invoice("f", 32.0, "paid", reason="card_declined", failed=NOW),
    )
    failed = samples("invoices_payment_failed", answer)
    assert failed[("card_declined",)] == failed[("other",)] == 2
    assert sum(failed.values()) == 4
    assert len(failed) == 8
    amounts = samples("invoices_payment_failed_amount_usd", answer)
    assert amounts[("card_declined",)] == 3.0
    assert amounts[("other",)] == 12.0
    assert samples("payment_last_failure_timestamp_seconds", answer) == {(): NOW - 5}


def on(*dates: str) -> list[pb.InvoiceSummary]:
    """Return invoices of these dates, the first over $1, the second over $2, and so on."""
    return [
        invoice(text, usd, "paid", issued=datetime.fromisoformat(f"{text}+00:00").timestamp())
        for usd, text in enumerate(dates, 1)
    ]


def median_before(*billed: pb.InvoiceSummary) -> float | None:
    """Return what invoices of the newest one's kind usually come to."""
    return samples("invoice_previous_median_amount_usd", invoices(*billed)).get(())


def test_the_newest_invoice_and_the_median_of_those_before_it() -> None:
    """Above 0 and dated only; six before the newest, and nothing under three."""
    history = on(*(f"2026-{month:02}-01" for month in range(9, 0, -1)))
    extra = invoice("credit", -1.0, issued=NOW), invoice("undated", 999.0)
    answer = invoices(*history, *extra)
    assert samples("invoice_latest_amount_usd", answer) == {(): 1.0}
    assert median_before(*history, *extra) == 4.5  # of 2 to 7
    assert median_before(*history[:4]) == 3.0
    assert median_before(*history[:3]) is None
    assert median_before(*extra) is None
    assert median_before() is None


def test_a_fee_is_not_what_usage_is_compared_with() -> None:
    """Nor the other way round, though fees come between the invoices of usage."""
    months = range(9, 0, -1)
    usage_of = on(*(f"2026-{month:02}-01T00:10" for month in months))
    fees = on(*(f"2026-{month:02}-14T17:00" for month in months))
    for each, usd in [(each, 1000.0) for each in usage_of] + [(each, 20.0) for each in fees]:
        each.invoice_amount = usd
    assert median_before(*usage_of[:6], *fees) == 20.0
    assert median_before(*usage_of, *fees[1:]) == 1000.0
    assert median_before(*usage_of[:3], *fees[2:]) is None


@pytest.mark.parametrize(
    ("kind", "dates"),
    [
        ("the 31st", ["2026-05-31", "2026-04-30", "2026-03-31", "2026-02-28", "2026-01-31"]),
        ("the 29th", ["2028-05-29", "2028-04-29", "2028-03-29", "2028-02-29", "2028-01-29"]),
        ("the 29th", ["2026-03-29", "2026-02-28", "2026-01-29", "2025-12-29", "2025-11-29"]),
        ("a day late", ["2026-05-02", "2026-04-01", "2026-03-01", "2026-02-01", "2026-01-01"]),
        ("a day early", ["2026-05-13", "2026-04-14", "2026-03-14", "2026-02-14", "2026-01-14"]),
        ("late", [f"2026-{n:02}-01T23:59:59.999" for n in range(5, 0, -1)]),
    ],
)
def test_a_kind_is_a_day_of_the_month_or_its_end(kind: str, dates: list[str]) -> None:
    """In UTC, one more or less; months end on different days."""
    assert median_before(*on(*dates)) == 3.5, kind  # of 2 to 5


@pytest.mark.parametrize(
    "dates",
    [
        ["2026-05-03", "2026-05-01", "2026-04-01", "2026-03-01"],
        ["2026-05-01", "2026-04-30", "2026-03-31", "2026-02-28"],
        ["2026-05-31", "2026-05-28", "2026-03-28", "2026-01-28"],
        ["2026-05-02T00:00:00", "2026-04-30T23:59:59", "2026-03-31", "2026-02-28"],
    ],
)
def test_other_days_are_another_kind(dates: list[str]) -> None:
    """The last of a month and the first of the next one, too: a fee and usage."""
    assert median_before(*on(*dates)) is None


@given(st.integers(1, 31), st.dates(date(1971, 1, 1), date(9990, 1, 1)), st.integers(1, 300))
def test_an_anniversary_is_one_kind_in_every_month(day: int, first: date, months: int) -> None:
    """Whichever day it is, and however short the month; the first is another, but for the next."""

    def billed(after: int) -> float:
        years, month = divmod(first.month - 1 + after, 12)
        year = first.year + years
        last = monthrange(year, month + 1)[1]
        return datetime(year, month + 1, min(day, last), 12, tzinfo=UTC).timestamp()

    one, other = place(billed(0)), place(billed(months))
    assert same_kind(one, other)
    assert same_kind(other, one)
    assert same_kind(one, Place(1, at_end=False)) == (day <= 2)


def test_a_date_beyond_the_calendar_is_a_date() -> None:
    """The API may say anything: what nobody could write down is no reason to end."""
    strange = invoice("strange", 5.0, issued=2**62)
    assert median_before(strange, *on("2026-03-28", "2026-02-28", "2026-01-28")) == 2.0
    assert median_before(*on("2026-03-01", "2026-02-01")) is None


DETAIL = invoices(
    invoice("paid-old", 1.0, "paid", issued=NOW - 60 * DAY),
    invoice("paid-new", 1.0, "paid", issued=NOW - 30 * DAY),
    invoice("paid-undated", 1.0, "paid"),
    invoice("open-undated", 1.0),
    invoice("open-late", 1.0, due=NOW + 9 * DAY),
    invoice("open-b", 1.0, due=NOW + DAY),
    invoice("open-a", 1.0, due=NOW + DAY),
)


@pytest.mark.parametrize(
    ("detail", "limit", "expected"),
    [
        ("none", 24, []),
        ("open", 24, ["open-a", "open-b", "open-late", "open-undated"]),
        ("open", 2, ["open-a", "open-b"]),
        ("all", 5, ["open-a", "open-b", "open-late", "open-undated", "paid-new"]),
        (
            "all",
            24,
            [
                "open-a",
                "open-b",
                "open-late",
                "open-undated",
                "paid-new",
                "paid-old",
                "paid-undated",
            ],
        ),
    ],
)
def test_which_invoices_have_series_of_their_own(
    detail: str, limit: int, expected: list[str]
) -> None:
    """Unpaid first by due date, then newest; undated last; ties by id; cut after that."""
    view = view_invoices(DETAIL, NOW, detail=detail, limit=limit)
    assert [i.id for i in view.shown] == expected
    shown = samples("invoice_amount_usd", DETAIL, detail=detail, limit=limit)
    assert {labels[0] for labels in shown} == set(expected)


def test_of_invoices_with_one_id_the_first_is_shown() -> None:
    """The others are withheld and counted: two samples of one series are no answer."""
    answer = invoices(
        invoice("same", 1.0, due=NOW + DAY), invoice("same", 2.0, due=NOW + DAY), invoice("b", 3.0)
    )
    assert samples("invoice_amount_usd", answer) == {
        ("same", "outstanding"): 1.0,
        ("b", "outstanding"): 3.0,
    }
    assert withheld("invoice_amount_usd", answer) == {"duplicate": 1}
    assert withheld("invoice_due_timestamp_seconds", answer) == {"duplicate": 1}
    assert withheld("invoice_paid_timestamp_seconds", answer) == {}
    assert samples("invoices_unpaid_amount_usd", answer) == {(): 6.0}


def test_an_invoice_shows_the_times_it_has() -> None:
    """Unset times have no series."""
    paid = invoice("a", 5.0, "paid", issued=NOW, due=NOW + DAY, paid=NOW + 1)
    answer = invoices(paid, invoice("b"))
    assert samples("invoice_issued_timestamp_seconds", answer, detail="all") == {("a",): NOW}
    assert samples("invoice_due_timestamp_seconds", answer, detail="all") == {("a",): NOW + DAY}
    assert samples("invoice_paid_timestamp_seconds", answer, detail="all") == {("a",): NOW + 1}


def test_outstanding_balance_is_exported_as_given() -> None:
    """It is the API's own, and need not be the sum of the unpaid invoices."""
    assert samples("outstanding_balance_usd", invoices(balance=12.34)) == {(): 12.34}


def test_a_row_refuses_samples_that_do_not_fit_its_labels() -> None:
    """A row whose extractor forgets a label is a bug, and says so."""
    spec = COLLECTORS[0].specs[0]
    broken = type(spec)(spec.name, spec.help, spec.labels, extract=lambda _: iter([(("only",), 1)]))
    with pytest.raises(ValueError, match="are not the values of"):
        apply(broken, None)


def test_what_comes_again_is_not_shown_in_place_of_what_is_withheld() -> None:
    """The first of two with equal labels counts, though it is no number."""
    twice: MetricSpec[None] = MetricSpec(
        "viam_billing_twice",
        "The same labels twice.",
        ("org_id", "org_name"),
        extract=lambda _: iter([((), math.nan), ((), 5.0)]),
    )
    shown, withheld = apply(twice, None)
    assert shown == []
    assert withheld == {"nan": 1, "duplicate": 1}
