"""The exporter against a server that Viam's own SDK was made for: every value on the page."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from peer.bills import BILLS, KEYS, Bill, Row
from support.process import (
    OPENMETRICS,
    PEER_PYTHON,
    ROOT,
    TEXT,
    Exporter,
    Process,
    exporter,
    get,
    parse,
    running,
    until,
)

SERVER = ROOT / "tests" / "peer" / "sdk_server.py"
INTERVAL = 1  # seconds

SOURCE = ("source_type", "tier")
# The labels after org_id and org_name.
LABELS: Mapping[str, tuple[str, ...]] = {
    "usage_cost_usd": (*SOURCE, "resource_type"),
    "usage_gross_cost_usd": SOURCE,
    "usage_discount_usd": SOURCE,
    "usage_net_cost_usd": SOURCE,
    "payment_method_info": ("payment_method", "card_brand"),
    "invoices": ("status",),
    "invoices_amount_usd": ("status",),
    "invoices_payment_failed": ("reason",),
    "invoices_payment_failed_amount_usd": ("reason",),
    "invoice_amount_usd": ("invoice_id", "status"),
    "invoice_issued_timestamp_seconds": ("invoice_id",),
    "invoice_due_timestamp_seconds": ("invoice_id",),
    "invoice_paid_timestamp_seconds": ("invoice_id",),
    "org_info": ("billing_tier", "currency"),
    "collector_success": ("collector",),
    "withheld_samples": ("collector", "reason"),
}
STATUSES = ("paid", "outstanding", "payment_processing", "other")
REASONS = (
    "card_declined",
    "insufficient_funds",
    "expired_card",
    "incorrect_cvc",
    "incorrect_card_number",
    "authentication_required",
    "processing_error",
    "other",
)
# Present with 0 where a bill does not say otherwise.
ALWAYS_PRESENT = {
    "invoices": STATUSES,
    "invoices_amount_usd": STATUSES,
    "invoices_payment_failed": REASONS,
    "invoices_payment_failed_amount_usd": REASONS,
}
COLLECTORS = ("usage", "billing_information", "invoices")
# Those of a poll itself: they are there, and within bounds, but nobody can say what they are.
DURATION = "viam_billing_collector_duration_seconds"
TIMES = tuple(
    f"viam_billing_collector_last_{what}_timestamp_seconds"
    for what in ("attempt", "success", "change")
)
# Growth since the exporter's first sight of a bill that does not grow.
SPENT = re.compile(r"viam_billing_usage_(resource_)?(spend|corrections)_usd_total")
# What is made of several answers, and of when they came: tests/unit/test_days.py has it.
DAYS = re.compile(
    r"viam_billing_((resource_)?spend_|ledger_|closed_period_|forecast_|budget_exhausted_)"
)
OWN = re.compile(r"viam_billing_exporter_|process_|python_")

Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Detail:
    """Which invoices get series of their own, as configured."""

    detail: str
    limit: int


class Expected:
    """The series of an organization that do not depend on when it was polled."""

    def __init__(self, bill: Bill, detail: Detail) -> None:
        self.series: dict[Key, float] = {}
        self._org = {"org_id": bill.id, "org_name": bill.name or bill.id}
        self._put_answers(bill)
        shown = [row for row in bill.rows if detail.detail == "all" or row.unpaid]
        for row in shown[: detail.limit]:
            self._put_invoice(row)
        self._put_organization(bill, with_rows=detail.detail == "all")

    def _put(self, name: str, values: tuple[str, ...], value: float, **more: str) -> None:
        labels = self._org | dict(zip(LABELS.get(name, ()), values, strict=True)) | more
        self.series[f"viam_billing_{name}", frozenset(labels.items())] = value

    def _put_answers(self, bill: Bill) -> None:
        for name, values in ALWAYS_PRESENT.items():
            given = bill.expected.get(name, {})
            assert isinstance(given, Mapping)
            for value in values:
                if (value,) not in given:
                    self._put(name, (value,), 0)
        for name, given in bill.expected.items():
            more = bill.labels if name == "org_info" else {}
            for labels, number in (given if isinstance(given, Mapping) else {(): given}).items():
                if number is not None:
                    self._put(name, labels, number, **more)

    def _put_invoice(self, row: Row) -> None:
        if row.usd is not None:
            self._put("invoice_amount_usd", (row.id, row.status), row.usd)
        times = {"issued": row.issued, "due": row.due, "paid": row.paid}
        for kind, seconds in times.items():
            if seconds is not None:
                self._put(f"invoice_{kind}_timestamp_seconds", (row.id,), seconds)

    def _put_organization(self, bill: Bill, *, with_rows: bool) -> None:
        if bill.budget_usd is not None:
            self._put("budget_usd", (), bill.budget_usd)
        self._put("up", (), 1)
        self._put("poll_interval_seconds", (), INTERVAL)
        for collector in COLLECTORS:
            self._put("collector_success", (collector,), 1)
        for unit, count in bill.withheld.items():
            rows = bill.withheld_rows.get(unit, 0) if with_rows else 0
            self._put("withheld_samples", unit, count + rows)


# --- Processes ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate authority's ca.pem, and cert.pem and key.pem it signed."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        *("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"),
        *("-subj", "/CN=throwaway authority", "-addext", "keyUsage=critical,keyCertSign"),
    )
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=bills")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
        *("-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem"),
    )
    return folder


@dataclass(frozen=True)
class SdkServer:
    """The server on the SDK's base classes."""

    process: Process
    port: int

    def stop(self) -> dict[str, Any]:
        """Stop it and return its journal: `calls` by path, and `complaints`."""
        self.process.stop()
        journal: dict[str, Any] = json.loads(self.process.stdout.text.splitlines()[-1])
        return journal


@contextmanager
def sdk_server(folder: Path, *certificate: Path) -> Iterator[SdkServer]:
    """Run the server with all bills while inside."""
    organizations = {
        bill.id: {
            "key_id": bill.key_id,
            "usage": bill.usage,
            "billing_information": bill.billing_information,
            "invoices": bill.invoices,
        }
        for bill in BILLS
    }
    file = folder / "bills.json"
    file.write_text(json.dumps({"keys": KEYS, "organizations": organizations}))
    with running(PEER_PYTHON, SERVER, file, *certificate) as process:
        yield SdkServer(process, int(process.stdout.wait_for(r"^ready (\d+)$")[1]))


def configuration(
    folder: Path,
    api: Mapping[str, Any],
    detail: Detail,
    *,
    keys: Mapping[str, str] = KEYS,
    interval: str = f"{INTERVAL}s",
) -> str:
    """Write a configuration that polls all bills, and return the argument that names it."""
    organizations = []
    for bill in BILLS:
        entry: dict[str, Any] = {
            "id": bill.id,
            "labels": dict(bill.labels),
            "credentials": {"api_key_id": bill.key_id, "api_key": keys[bill.key_id]},
        }
        if bill.name is not None:
            entry["name"] = bill.name
        if bill.budget_usd is not None:
            entry["budget_usd"] = bill.budget_usd
        organizations.append(entry)
    settings = {
        "api": api,
        "poll": {"interval": interval, "max_age": "3h"},  # however slow this machine is
        "invoices": {"detail": detail.detail, "max_per_organization": detail.limit},
        "organizations": organizations,
    }
    file = folder / "exporter.yml"
    file.write_text(json.dumps(settings))  # which is YAML, too
    return f"--config.file={file}"


# Logins, and the names of organizations that have none in the configuration.
ONCE: Final = {"Authenticate", "ListOrganizations"}


def server_was_asked(target: Exporter, times: int) -> bool:
    """Tell whether that many calls of each reading method were made."""
    counts = {
        dict(labels)["method"]: value
        for (name, labels), value in parse(target.scrape()).items()
        if name == "viam_billing_exporter_api_requests_total"
    }
    return all(counts[method] >= times for method in counts.keys() - ONCE)


@dataclass(frozen=True)
class Run:
    """What an exporter served after two rounds of polls, and what the SDK's server noted."""

    detail: Detail
    pages: Mapping[str, str]  # Accept -> page
    other_pages: str
    log: str
    journal: Mapping[str, Any]
    began: float  # Unix seconds
    ended: float


@pytest.fixture(
    scope="module",
    params=[(False, Detail("all", 24)), (True, Detail("open", 4))],
    ids=["plaintext", "tls"],
)
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Run:
    """Run server and exporter until all was polled, and scrape both formats."""
    tls, detail = request.param
    folder = tmp_path_factory.mktemp("run")
    certificate = [certificates / "cert.pem", certificates / "key.pem"] if tls else []
    began = time.time()
    with sdk_server(folder, *certificate) as server:
        api: dict[str, Any] = {"address": f"127.0.0.1:{server.port}", "tls": tls}
        if tls:
            api["ca_file"] = str(certificates / "ca.pem")
        with exporter(configuration(folder, api, detail)) as target:
            target.wait_until_ready()
            until(lambda: server_was_asked(target, 2 * len(BILLS)), "a second round of polls")
            pages = {accept: target.scrape(accept) for accept in (TEXT, OPENMETRICS)}
            ended = time.time()
            others = [get(target.port, path).text for path in ("/", "/config")]
        return Run(
            detail=detail,
            pages=pages,
            other_pages="".join(others),
            log=target.process.stderr.text,
            journal=server.stop(),
            began=began,
            ended=ended,
        )


# --- Tests ---


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_every_value_is_the_one_served(run: Run, accept: str) -> None:
    """No series of a bill is missing, none is there that should not be, and each is exact."""
    expected: dict[Key, float] = {}
    for bill in BILLS:
        expected |= Expected(bill, run.detail).series
    found = {
        (name, labels): value
        for (name, labels), value in parse(run.pages[accept], accept).items()
        if not (OWN.match(name) or SPENT.fullmatch(name) or DAYS.match(name))
        and name not in {DURATION, *TIMES}
    }
    assert sorted(map(_text, expected.keys() - found.keys())) == []
    assert sorted(map(_text, found.keys() - expected.keys())) == []
    assert {key: value for key, value in found.items() if value != expected[key]} == {}


def _text(key: Key) -> str:
    return f"{key[0]}{sorted(key[1])}"


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_polls_are_dated(run: Run, accept: str) -> None:
    """Each collector of each organization has its times and its duration, of this run."""
    units = {
        frozenset(
            {"org_id": bill.id, "org_name": bill.name or bill.id, "collector": collector}.items()
        )
        for bill in BILLS
        for collector in COLLECTORS
    }
    series = parse(run.pages[accept], accept)
    for metric in (DURATION, *TIMES):
        values = {labels: value for (name, labels), value in series.items() if name == metric}
        assert values.keys() == units
        low, high = (0, run.ended - run.began) if metric == DURATION else (run.began, run.ended)
        assert all(low <= value <= high for value in values.values())


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_a_bill_that_does_not_grow_counts_nothing(run: Run, accept: str) -> None:
    """First sight sets the baseline of the spend counters, and equal answers leave them at 0."""
    series = parse(run.pages[accept], accept)
    assert {key: value for key, value in series.items() if SPENT.fullmatch(key[0]) and value} == {}

    def organizations(metric: str, **labels: str) -> set[str]:
        return {
            dict(key)["org_id"]
            for name, key in series
            if name == metric and labels.items() <= dict(key).items()
        }

    read = organizations("viam_billing_collector_last_success_timestamp_seconds", collector="usage")
    assert organizations("viam_billing_usage_spend_usd_total") == read
    assert organizations("viam_billing_usage_corrections_usd_total") == read


def test_nothing_personal_or_secret_gets_out(run: Run) -> None:
    """Keys, addresses, digits and banks are on no page and in no log line."""
    for text in (*run.pages.values(), run.other_pages, run.log):
        assert "PRIVATE" not in text


def test_only_bills_and_names_are_read(run: Run) -> None:
    """No other method is called, and no call is made in a way that the server must refuse."""
    assert run.journal["complaints"] == []
    assert run.journal["calls"].keys() == {
        "/proto.rpc.v1.AuthService/Authenticate",
        "/viam.app.v1.AppService/ListOrganizations",
        "/viam.app.v1.BillingService/GetCurrentMonthUsage",
        "/viam.app.v1.BillingService/GetOrgBillingInformation",
        "/viam.app.v1.BillingService/GetInvoicesSummary",
    }


def test_a_key_authenticates_once(run: Run) -> None:
    """All calls with one key share one token: two organizations', and the next round's."""
    assert run.journal["calls"]["/proto.rpc.v1.AuthService/Authenticate"] == len(KEYS)


def test_what_is_counted_is_what_came(tmp_path: Path) -> None:
    """After one round of polls the exporter's counters agree with the server, call by call."""
    with sdk_server(tmp_path) as server:
        api = {"address": f"127.0.0.1:{server.port}", "tls": False}
        once = configuration(tmp_path, api, Detail("open", 24), interval="1h")
        with exporter(once) as target:
            target.wait_until_ready()
            series = parse(target.scrape())
        journal = server.stop()

    def counted(metric: str) -> dict[str, float]:
        """Return a counter's values by its only label."""
        return {
            next(iter(labels))[1]: value
            for (name, labels), value in series.items()
            if name == f"viam_billing_exporter_{metric}_total"
        }

    calls = {path.rpartition("/")[2]: count for path, count in journal["calls"].items()}
    assert counted("api_requests") == calls
    assert calls == {
        "Authenticate": len(KEYS),
        "ListOrganizations": len({bill.key_id for bill in BILLS if bill.name is None}),
        "GetCurrentMonthUsage": len(BILLS),
        "GetOrgBillingInformation": len(BILLS),
        "GetInvoicesSummary": len(BILLS),
    }
    failures = "viam_billing_exporter_api_request_failures_total"
    assert sum(value for (name, _), value in series.items() if name == failures) == 0
    assert counted("unknown_enum_values") == {
        "SourceType": 2,
        "UsageCostType": 2,
        "PaymentMethodType": 1,
    }
    withheld = dict.fromkeys(("nan", "infinity", "duplicate", "limit"), 0)
    for bill in BILLS:
        for (_, reason), count in bill.withheld.items():
            withheld[reason] += count
    assert counted("withheld_samples") == withheld


def causes(target: Exporter) -> dict[tuple[str, str], str]:
    """Return why collectors failed, by organization and collector."""
    labels = [
        dict(labels)
        for name, labels in parse(target.scrape())
        if name == "viam_billing_collector_failure"
    ]
    return {(label["org_id"], label["collector"]): label["cause"] for label in labels}


def test_a_server_that_nobody_vouches_for_is_not_talked_to(
    tmp_path: Path, certificates: Path
) -> None:
    """Without its authority the server is not trusted: no call arrives, no key is sent."""
    with sdk_server(tmp_path, certificates / "cert.pem", certificates / "key.pem") as server:
        api = {"address": f"127.0.0.1:{server.port}"}
        with exporter(configuration(tmp_path, api, Detail("open", 24))) as target:
            target.wait_until_ready()
            failed = causes(target)
        journal = server.stop()
    assert failed == {(bill.id, collector): "outage" for bill in BILLS for collector in COLLECTORS}
    assert journal == {"calls": {}, "complaints": []}


def test_a_refused_key_fails_its_organizations_only(tmp_path: Path) -> None:
    """A wrong key is a failure of credentials, and the others' bills are as good as ever."""
    wrong = KEYS | {"key-5": "PRIVATE-wrong"}
    detail = Detail("open", 24)
    with sdk_server(tmp_path) as server:
        api = {"address": f"127.0.0.1:{server.port}", "tls": False}
        with exporter(configuration(tmp_path, api, detail, keys=wrong)) as target:
            target.wait_until_ready()
            failed = causes(target)
            series = parse(target.scrape())
    unlucky = [bill for bill in BILLS if bill.key_id == "key-5"]
    assert failed == {
        (bill.id, collector): "credentials" for bill in unlucky for collector in COLLECTORS
    }
    for bill in BILLS:
        if bill not in unlucky:
            assert Expected(bill, detail).series.items() <= series.items()
    assert "PRIVATE" not in target.process.stderr.text
