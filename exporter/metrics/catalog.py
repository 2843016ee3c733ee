"""THE table: a row per metric of an organization, a row per collector.

Everything that must know the metrics reads them here: the page, docs/metrics.md,
docs/contract.json, the checks of dashboards and rules. The exporter's own metrics are
listed in the same shape in exporter/metrics/own.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from exporter.api.calls import ReadRpc
from exporter.metrics import report
from exporter.metrics.extract import (
    billing_information,
    days,
    forecast,
    invoices,
    organization,
    usage,
)
from exporter.metrics.extract.billing_information import BillingInformation
from exporter.metrics.extract.invoices import Invoices
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import View, keep_known
from exporter.metrics.report import DAY, OrganizationReport
from exporter.model import ORG, InvoiceDetail, MetricSpec, MetricType
from exporter.pb import billing_pb2 as pb

AnswerT = TypeVar("AnswerT", bound=Message)
ViewT = TypeVar("ViewT", bound=View)

SOURCE = (*ORG, "source_type", "tier")
INVOICE = (*ORG, "invoice_id")
COLLECTOR = (*ORG, "collector")


USAGE: tuple[MetricSpec[Usage], ...] = (
    MetricSpec(
        "viam_billing_usage_cost_usd",
        "Cost in the current billing period before discounts, as last polled.",
        (*SOURCE, "resource_type"),
        extract=usage.cost,
    ),
    MetricSpec(
        "viam_billing_usage_gross_cost_usd",
        "Total in the current billing period before discounts, as last polled.",
        SOURCE,
        extract=usage.gross_cost,
    ),
    MetricSpec(
        "viam_billing_usage_discount_usd",
        "Discount in the current billing period, as last polled.",
        SOURCE,
        extract=usage.discount,
    ),
    MetricSpec(
        "viam_billing_usage_net_cost_usd",
        "Total in the current billing period after discounts, as last polled.",
        SOURCE,
        extract=usage.net_cost,
    ),
    MetricSpec(
        "viam_billing_usage_month_to_date_usd",
        "Sum of the net costs of all sources in the current billing period, as last polled. "
        "Budgets and forecasts are compared with it.",
        ORG,
        value=lambda usage: usage.month_to_date,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_usage_subtotal_usd",
        "Subtotal of the current billing period as the API gives it, as last polled. "
        "The API does not define it.",
        ORG,
        value=lambda usage: usage.subtotal,
    ),
    MetricSpec(
        "viam_billing_usage_reconciliation_difference_usd",
        "Subtotal minus month to date, as last polled. Worth a look if not 0, but not an error.",
        ORG,
        value=lambda usage: usage.subtotal - usage.month_to_date,
    ),
    MetricSpec(
        "viam_billing_usage_period_start_timestamp_seconds",
        "Start of the current billing period as the API gives it, as last polled.",
        ORG,
        value=lambda usage: usage.period_start,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_usage_period_end_timestamp_seconds",
        "End of the current billing period as the API gives it, as last polled.",
        ORG,
        value=lambda usage: usage.period_end,
        figure=True,
    ),
)

BILLING_INFORMATION: tuple[MetricSpec[BillingInformation], ...] = (
    MetricSpec(
        "viam_billing_payment_method_info",
        "Always 1; labels give how the organization pays: card, us_bank_account, none or "
        "unknown_<n>, "
        "as last polled.",
        (*ORG, "payment_method", "card_brand"),
        extract=billing_information.payment_method_info,
    ),
    MetricSpec(
        "viam_billing_payment_method_verification_pending",
        "1 while a bank account awaits verification, else 0, as last polled.",
        ORG,
        value=lambda billing: float(billing.verification_pending),
    ),
)

INVOICES: tuple[MetricSpec[Invoices], ...] = (
    MetricSpec(
        "viam_billing_outstanding_balance_usd",
        "Unpaid at the end of the last billing cycle, without the current period, as last polled.",
        ORG,
        value=lambda invoices: invoices.outstanding_balance,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_invoices",
        "Number of invoices by status, as last polled.",
        (*ORG, "status"),
        extract=invoices.by_status,
    ),
    MetricSpec(
        "viam_billing_invoices_amount_usd",
        "Sum of invoices by status, as last polled.",
        (*ORG, "status"),
        extract=invoices.amount_by_status,
    ),
    MetricSpec(
        "viam_billing_invoices_unpaid",
        "Number of invoices above 0 that are neither paid, free nor void, as last polled.",
        ORG,
        value=lambda invoices: len(invoices.unpaid),
    ),
    MetricSpec(
        "viam_billing_invoices_unpaid_amount_usd",
        "Sum of the unpaid invoices, as last polled.",
        ORG,
        value=invoices.unpaid_amount,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_invoices_overdue",
        "Number of unpaid invoices whose due date has passed, as last polled. Also changes when a "
        "due date passes.",
        ORG,
        value=lambda invoices: len(invoices.overdue),
    ),
    MetricSpec(
        "viam_billing_invoices_overdue_amount_usd",
        "Sum of the unpaid invoices whose due date has passed, as last polled. Also changes when "
        "a due date passes.",
        ORG,
        value=invoices.overdue_amount,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_invoice_next_due_timestamp_seconds",
        "Earliest future due date of an unpaid invoice, as last polled; absent if there is none. "
        "Also changes when a due date passes.",
        ORG,
        value=lambda invoices: invoices.next_change,
    ),
    MetricSpec(
        "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds",
        "Earliest due date of an unpaid invoice; absent when nothing is unpaid, as last polled.",
        ORG,
        value=invoices.oldest_unpaid_due,
    ),
    MetricSpec(
        "viam_billing_invoice_latest_amount_usd",
        "Amount of the newest invoice above 0; absent if there is none, as last polled.",
        ORG,
        value=invoices.latest_amount,
    ),
    MetricSpec(
        "viam_billing_invoice_previous_median_amount_usd",
        "Median of up to six earlier invoices above 0, billed on the same day of the month "
        "as the newest, give or take one day; absent with fewer than three, as last polled.",
        ORG,
        value=invoices.previous_median_amount,
    ),
    MetricSpec(
        "viam_billing_invoices_payment_failed",
        "Number of unpaid invoices whose last payment failed, by reason, as last polled.",
        (*ORG, "reason"),
        extract=invoices.payment_failed,
    ),
    MetricSpec(
        "viam_billing_invoices_payment_failed_amount_usd",
        "Sum of unpaid invoices whose last payment failed, by reason, as last polled.",
        (*ORG, "reason"),
        extract=invoices.payment_failed_amount,
        figure=True,
    ),
    MetricSpec(
        "viam_billing_payment_last_failure_timestamp_seconds",
        "Time of the newest failed payment of an unpaid invoice; absent if none, as last polled.",
        ORG,
        value=invoices.payment_last_failure,
    ),
    MetricSpec(
        "viam_billing_invoice_amount_usd",
        "Amount of an invoice, as last polled. The setting invoices.detail "
        "chooses which invoices have their own series.",
        (*INVOICE, "status"),
        extract=invoices.amount,
        per_invoice=True,
    ),
    MetricSpec(
        "viam_billing_invoice_issued_timestamp_seconds",
        "Date of an invoice, as last polled; absent if it has none.",
        INVOICE,
        extract=invoices.issued,
        per_invoice=True,
    ),
    MetricSpec(
        "viam_billing_invoice_due_timestamp_seconds",
        "Due date of an invoice, as last polled; absent if it has none.",
        INVOICE,
        extract=invoices.due,
        per_invoice=True,
    ),
    MetricSpec(
        "viam_billing_invoice_paid_timestamp_seconds",
        "Date of payment of an invoice, as last polled; absent if it has none.",
        INVOICE,
        extract=invoices.paid,
        per_invoice=True,
    ),
)

SPEND: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_usage_spend_usd_total",
        "Growth of month to date since the organization was first polled, across billing periods.",
        ORG,
        MetricType.COUNTER,
        value=organization.spend,
    ),
    MetricSpec(
        "viam_billing_usage_corrections_usd_total",
        "Drops in month to date within billing periods (e.g. credits) since the organization was "
        "first polled.",
        ORG,
        MetricType.COUNTER,
        value=organization.corrections,
    ),
    MetricSpec(
        "viam_billing_usage_resource_spend_usd_total",
        "Growth of the cost of a resource type before discounts since the organization was first "
        "polled, across billing periods.",
        (*ORG, "resource_type"),
        MetricType.COUNTER,
        extract=organization.resource_spend,
    ),
    MetricSpec(
        "viam_billing_usage_resource_corrections_usd_total",
        "Drops in the cost of a resource type before discounts within billing periods since the "
        "organization was first polled.",
        (*ORG, "resource_type"),
        MetricType.COUNTER,
        extract=organization.resource_corrections,
    ),
)

TODAY: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_spend_today_usd",
        "Spend since 00:00 UTC, as last polled; absent until the first good answer after midnight.",
        ORG,
        value=days.today,
    ),
)

# All that stays what it is from one midnight to the next, whatever is polled.
DAYS: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_spend_yesterday_usd",
        "Spend on the last whole UTC day that was followed by a good answer; absent while it "
        "is unknown.",
        ORG,
        value=days.one(lambda found: found.day_before),
    ),
    MetricSpec(
        "viam_billing_spend_yesterday_start_timestamp_seconds",
        "Start of the day of viam_billing_spend_yesterday_usd.",
        ORG,
        value=days.one(days.yesterday_start),
    ),
    MetricSpec(
        "viam_billing_spend_7d_usd",
        "Spend on the last seven whole UTC days; absent until all of them are known.",
        ORG,
        value=days.one(lambda found: found.seven_days),
    ),
    MetricSpec(
        "viam_billing_spend_previous_7d_usd",
        "Spend on the seven days before the last seven whole ones; absent until all are known.",
        ORG,
        value=days.one(lambda found: found.seven_before),
    ),
    MetricSpec(
        "viam_billing_spend_28d_usd",
        "Spend on the last 28 whole UTC days; absent until all of them are known.",
        ORG,
        value=days.one(lambda found: found.twenty_eight_days),
    ),
    MetricSpec(
        "viam_billing_resource_spend_yesterday_usd",
        "Spend on a resource type, before discounts, on the last whole UTC day; 0 if there was "
        "none, but some in the 27 days before.",
        (*ORG, "resource_type"),
        extract=days.resources,
    ),
    MetricSpec(
        "viam_billing_ledger_known_seconds",
        "Completed days in the ledger that are known, in seconds: at most half of the spend "
        "on each day is estimated.",
        ORG,
        value=days.one(lambda found: found.known * DAY),
    ),
    MetricSpec(
        "viam_billing_ledger_estimated_seconds",
        "Completed days in the ledger that are mostly estimated or unknown, in seconds.",
        ORG,
        value=days.one(lambda found: found.others * DAY),
    ),
)

FORECAST: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_forecast_usd",
        "Forecast of month to date at the end of the current billing period, as of the last good "
        "answer.",
        ORG,
        value=forecast.one(lambda found: found.usd),
    ),
    MetricSpec(
        "viam_billing_forecast_lower_usd",
        "Lower bound of the forecast: about one period in ten ends below it.",
        ORG,
        value=forecast.one(lambda found: found.lower),
    ),
    MetricSpec(
        "viam_billing_forecast_upper_usd",
        "Upper bound of the forecast: four periods in five end within the bounds.",
        ORG,
        value=forecast.one(lambda found: found.upper),
    ),
    MetricSpec(
        "viam_billing_budget_exhausted_timestamp_seconds",
        "When the budget was or, as forecast, will be used up; absent if not in this period.",
        ORG,
        value=forecast.one(lambda found: found.exhausted),
    ),
)

EXPECTED: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_forecast_closed_period_error_ratio",
        "Error of the forecast made in the middle of the last completed billing period: forecast "
        "divided by actual amount, minus 1; absent if there was no forecast then.",
        ORG,
        value=forecast.one(lambda found: found.past_error),
    ),
    MetricSpec(
        "viam_billing_spend_expected_day_usd",
        "Cost expected of the day of viam_billing_spend_yesterday_usd before it began; "
        "absent until seven days are known, and for a day that is estimated.",
        ORG,
        value=forecast.of_day_before(lambda day: day.usd),
    ),
    MetricSpec(
        "viam_billing_spend_expected_day_upper_usd",
        "Spend above which the day of viam_billing_spend_yesterday_usd counts as a spike.",
        ORG,
        value=forecast.of_day_before(lambda day: day.upper),
    ),
    MetricSpec(
        "viam_billing_spend_expected_today_upper_usd",
        "Spend above which today (UTC) is a spike; absent until the first good answer after "
        "midnight.",
        ORG,
        value=forecast.today_upper,
    ),
    MetricSpec(
        "viam_billing_resource_spend_expected_day_usd",
        "Cost expected of the day of viam_billing_resource_spend_yesterday_usd before it "
        "began, by resource type, before discounts; 0 for a new type.",
        (*ORG, "resource_type"),
        extract=forecast.resources,
    ),
)

CLOSED: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_closed_period_usage_usd",
        "Month to date, as last seen, of the last completed billing period; absent until one has "
        "ended.",
        ORG,
        value=days.closed(lambda period: period.usage),
    ),
    MetricSpec(
        "viam_billing_closed_period_end_timestamp_seconds",
        "End of the last completed billing period; absent until one has ended.",
        ORG,
        value=days.closed(lambda period: period.end),
    ),
)

CONFIGURED: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_org_info",
        "Always 1; labels give what is known of the organization, with the configured labels. "
        "billing_tier is polled, and empty until it is known.",
        (*ORG, "billing_tier", "currency"),
        extract=organization.org_info,
        with_configured=True,
    ),
    MetricSpec(
        "viam_billing_budget_usd",
        "Budget for a billing period, from the configuration, not polled; absent if none is set.",
        ORG,
        value=lambda known: known.organization.budget_usd,
    ),
    MetricSpec(
        "viam_billing_poll_interval_seconds",
        "Effective interval at which the organization is polled.",
        ORG,
        value=lambda known: known.organization.interval,
    ),
)

OUTCOMES: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_up",
        "1 if the last poll of every enabled collector succeeded, else 0; absent until each has "
        "been polled.",
        ORG,
        value=lambda known: known.up,
    ),
    MetricSpec(
        "viam_billing_collector_success",
        "1 if the last poll of the collector succeeded, else 0; absent until it has been polled.",
        COLLECTOR,
        extract=organization.success,
    ),
    MetricSpec(
        "viam_billing_collector_failure",
        "1 while the last poll of the collector failed for this cause; absent otherwise.",
        (*COLLECTOR, "cause"),
        extract=organization.failure,
    ),
    MetricSpec(
        "viam_billing_collector_retry_timestamp_seconds",
        "Time until which the server's retry delay holds back the collector's poll; absent "
        "without a delay.",
        COLLECTOR,
        extract=organization.retry,
    ),
)

# All that moves when an answer comes that is the same as before.
ATTEMPTS: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_collector_duration_seconds",
        "Duration of the last poll of the collector; absent until it has been polled.",
        COLLECTOR,
        extract=organization.duration,
    ),
    MetricSpec(
        "viam_billing_collector_last_attempt_timestamp_seconds",
        "When the collector was last polled, successfully or not; absent until it has been.",
        COLLECTOR,
        extract=organization.last_attempt,
    ),
    MetricSpec(
        "viam_billing_collector_last_success_timestamp_seconds",
        "When the collector was last polled successfully; absent until it has been.",
        COLLECTOR,
        extract=organization.last_success,
    ),
)

CONTENT: tuple[MetricSpec[OrganizationReport], ...] = (
    MetricSpec(
        "viam_billing_collector_last_change_timestamp_seconds",
        "When a polled answer last differed from the one before; the first answer counts.",
        COLLECTOR,
        extract=organization.last_change,
    ),
    MetricSpec(
        "viam_billing_withheld_samples",
        "Samples withheld from the data last polled, by reason (nan, infinity, duplicate); "
        "absent if none.",
        (*COLLECTOR, "reason"),
        extract=organization.withheld,
    ),
)


@dataclass(frozen=True, slots=True)
class Collector(Generic[AnswerT, ViewT]):
    """One call and the metrics made from its answer."""

    name: str
    rpc: ReadRpc
    message: type[AnswerT]
    keep: Callable[[AnswerT], AnswerT]  # what of an answer may be kept: nothing personal
    view: Callable[[AnswerT, float, InvoiceDetail], ViewT]  # (answer, Unix now, detail)
    specs: tuple[MetricSpec[ViewT], ...]


COLLECTORS: tuple[Collector[Any, Any], ...] = (
    Collector(
        "usage",
        ReadRpc.GET_CURRENT_MONTH_USAGE,
        pb.GetCurrentMonthUsageResponse,
        keep_known,
        lambda answer, _now, _detail: usage.view(answer),
        USAGE,
    ),
    Collector(
        "billing_information",
        ReadRpc.GET_ORG_BILLING_INFORMATION,
        pb.GetOrgBillingInformationResponse,
        billing_information.keep_impersonal,
        lambda answer, _now, _detail: billing_information.view(answer),
        BILLING_INFORMATION,
    ),
    Collector(
        "invoices",
        ReadRpc.GET_INVOICES_SUMMARY,
        pb.GetInvoicesSummaryResponse,
        keep_known,
        lambda answer, now, detail: invoices.view(
            answer, now, detail=detail.detail, limit=detail.limit
        ),
        INVOICES,
    ),
)


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics of what is known of an organization beside its bill."""

    # As long as it, and what is configured of the organization, stay equal, so do the samples.
    unchanged_while: Callable[[OrganizationReport], object]
    specs: tuple[MetricSpec[OrganizationReport], ...]


SECTIONS: tuple[Section, ...] = (
    Section(lambda known: known.spend, SPEND),
    Section(lambda known: (known.windows, known.today), TODAY),
    Section(report.whole_days, DAYS),
    Section(report.period_end, FORECAST),
    Section(report.expected, EXPECTED),
    Section(lambda known: known.spend and known.spend.closed, CLOSED),
    Section(lambda known: known.billing_tier, CONFIGURED),
    Section(report.outcomes, OUTCOMES),
    Section(lambda known: known.collectors, ATTEMPTS),
    Section(report.content, CONTENT),
)

# Every family of an organization, in the order of the page.
SPECS: tuple[MetricSpec[Any], ...] = (
    *(spec for collector in COLLECTORS for spec in collector.specs),
    *(spec for section in SECTIONS for spec in section.specs),
)

# Names that a configured label must not take.
LABEL_NAMES = frozenset(label for spec in SPECS for label in spec.labels)
