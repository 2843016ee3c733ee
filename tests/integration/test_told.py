"""From the bill to the message: simulator, exporter, Prometheus, Alertmanager, all of them real.

A month takes a minute. The account pays its invoices ten days late, because its card is declined
until then, and the payment takes four days. It spends its budget within days. So each of it is told
once a month, and resolves.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import yaml

from exporter.process.clock import SystemClock
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet
from exporter.simulator.accounts import PaymentHabit
from rules.harness import ALERTS, LINK_FLAGS, made
from support.alertmanager import alertmanager
from support.process import EXPORTER, ROOT, free_port, running, serving, succeeds, until
from support.prometheus import prometheus

MONTH: Final = 60.0  # seconds
SPEED: Final = 30 * 86_400 / MONTH
LATE: Final = PaymentHabit(paid_after=25.0, failure="card_declined", processing=4.0)
ALERTMANAGER: Final = ROOT / "deploy" / "alertmanager"
OVERDUE, FAILED = "ViamBillingInvoiceOverdue", "ViamBillingPaymentFailed"
BUDGET, DOWN = "ViamBillingBudgetUsed", "ViamBillingExporterDown"
SPENT: Final = f"ALERTS{{alertname='{BUDGET}', alertstate='firing', severity='warning'}}"
WITHIN: Final = 3 * MONTH  # seconds until something that happens every month has happened

pytestmark = [pytest.mark.timeout(10 * MONTH), pytest.mark.usefixtures("stack")]


@dataclass
class Inbox:
    """What was told: by receiver, oldest first."""

    posts: list[tuple[str, Any]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Take in what is posted while inside."""
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with serving(Handler) as port:
            yield port

    def alerts(self, receiver: str, after: int) -> list[Mapping[str, Any]]:
        """Return the alerts that a receiver was told, but for the first posts of all."""
        return [
            alert
            for told, post in self.posts[after:]
            if told == receiver
            for alert in post.get("alerts", ())
        ]

    def told(
        self, receiver: str, name: str, status: str, after: int = 0
    ) -> Mapping[str, Any] | None:
        """Return the newest alert of that name and status that a receiver was told."""
        found = [
            alert
            for alert in self.alerts(receiver, after)
            if (alert["labels"]["alertname"], alert["status"]) == (name, status)
        ]
        return found[-1] if found else None

    def slack(self) -> str:
        """Return all that was written to Slack."""
        written = [
            f"{part['title']}\n{part['text']}"
            for told, post in list(self.posts)
            if told == "slack"
            for part in post["attachments"]
        ]
        return "\n".join(written)


def account() -> Account:
    """Return the account that pays late and has a small budget."""
    first, *_ = demo_fleet(1)
    return replace(first, name="Acme & Söhne <Robotics>", payment_habit=LATE, budget_usd=120.0)


@contextmanager
def simulated(accounts: list[Account]) -> Iterator[int]:
    """Serve the billing API, of months that take a minute, while inside."""
    loop = asyncio.new_event_loop()
    clock = SimulatedClock(SystemClock(), SPEED)

    async def start() -> tuple[Simulator, int]:
        simulator = Simulator(accounts, clock, rng=Random(1))
        return simulator, await simulator.start()

    simulator, port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def exporter_file(folder: Path, who: Account, port: int) -> Path:
    """Write the exporter's configuration."""
    file = folder / "exporter.yml"
    file.touch(0o600)
    document = {
        "api": {"address": f"127.0.0.1:{port}", "tls": False},
        "poll": {"interval": "500ms", "max_age": "1h"},
        "credentials": {"api_key_id": who.api_key_id, "api_key": who.api_key},
        "organizations": [{"id": who.id, "name": who.name, "budget_usd": who.budget_usd}],
    }
    file.write_text(yaml.safe_dump(document, allow_unicode=True))
    return file


def rules(folder: Path) -> Path:
    """Generate our rules for days of two seconds."""
    settings = {
        "interval": "1s",
        "windows": {"day": f"{MONTH / 30:g}s"},
        "thresholds": {"due_soon": "6s", "frozen": "6s", "large_invoice_news": "14s"},
        "alerts": {
            name: {"for": "1s", "severity": alert["labels"]["severity"]}
            for name, alert in ALERTS.items()
        },
    }
    output = folder / "rules"
    output.mkdir()
    made(output, settings, *LINK_FLAGS)
    return output


def routes(folder: Path, inbox: int) -> Mapping[str, Any]:
    """Return our configuration with receivers on this machine, and without its patience."""
    ours: dict[str, Any] = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text())
    shutil.copytree(ALERTMANAGER / "templates", folder / "templates")
    slack = folder / "slack-url"
    slack.write_text(f"http://127.0.0.1:{inbox}/slack")
    ours["global"] = {"slack_api_url_file": str(slack), "resolve_timeout": "10s"}
    hurry = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    ours["route"] |= hurry
    for route in ours["route"]["routes"]:
        route.pop("repeat_interval", None)
    for receiver in ours["receivers"]:
        url = f"http://127.0.0.1:{inbox}/{receiver['name']}"
        receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
        receiver.pop("email_configs", None)
        receiver.pop("pagerduty_configs", None)
    return ours


def at(port: int) -> Mapping[str, Any]:
    """Tell Prometheus where something is."""
    return {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}


def test_what_is_wrong_arrives_in_words_and_resolves(tmp_path: Path) -> None:
    """An overdue invoice, a declined card, a budget that is spent, an exporter that is gone."""
    who, inbox, web = account(), Inbox(), free_port()
    with ExitStack() as stack:
        told = stack.enter_context(inbox.serving())
        api = stack.enter_context(simulated([who]))
        messenger = stack.enter_context(alertmanager(tmp_path, routes(tmp_path, told)))
        listen = f"--web.listen-address=127.0.0.1:{web}"
        command = (*EXPORTER, listen, f"--config.file={exporter_file(tmp_path, who, api)}")
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{rules(tmp_path)}/viam-billing.*.yml"],
            "alerting": {"alertmanagers": [at(messenger)]},
            "scrape_configs": [{"job_name": "viam-billing", **at(web)}],
        }
        server = stack.enter_context(prometheus(tmp_path, configuration))

        def arrived(receiver: str, name: str, status: str, after: int = 0) -> Callable[[], Any]:
            return lambda: inbox.told(receiver, name, status, after)

        with running(*command):
            for receiver, name in (
                ("finance-email", OVERDUE),
                ("on-call-pagerduty", OVERDUE),
                ("finance-email", FAILED),
                ("finance-email", BUDGET),
            ):
                for status in ("firing", "resolved"):
                    until(arrived(receiver, name, status), f"{name} is {status}", WITHIN)
            until(lambda: server.query(SPENT), "the next budget is spent", WITHIN)

        # It was gone once before: until it had started.
        gone = len(inbox.posts)
        for receiver in ("on-call-pagerduty", "operators-slack"):
            until(arrived(receiver, DOWN, "firing", gone), f"{receiver} hears of it", WITHIN)
        # Nobody knows any more what became of the budget: that is no reason to be silent.
        assert server.query(SPENT)
        with running(*command):
            until(lambda: succeeds(web, "/-/ready"), "it runs again")
            until(arrived("operators-slack", DOWN, "resolved", gone), "it is back", WITHIN)

        amounts = {
            f"${value:.2f}"
            for series in server.api("query", query="viam_billing_invoices_overdue_amount_usd[1h]")[
                "result"
            ]
            for value in (float(text) for _, text in series["values"])
        }
    overdue = inbox.told("on-call-pagerduty", OVERDUE, "firing")
    assert overdue is not None
    assert overdue["labels"]["org_name"] == who.name
    said = re.fullmatch(
        r"(.+) owes (\$\d+\.\d\d) on overdue invoices, the oldest due on "
        r"\d{4}-\d\d-\d\d, (?:today|1 day ago)\.",
        overdue["annotations"]["description"],
    )
    assert said is not None
    assert said[1] == who.name
    assert said[2] in amounts - {"$0.00"}
    assert overdue["annotations"]["runbook_url"].endswith("#viambillinginvoiceoverdue")
    assert overdue["annotations"]["dashboard_url"].endswith(f"var-organization={who.id}")
    failed = inbox.told("on-call-pagerduty", FAILED, "firing")
    assert failed is not None
    assert failed["labels"]["reason"] == "card_declined"
    assert "whose last payment failed: card declined." in failed["annotations"]["description"]
    # Nobody is paged while the payment takes its time.
    severities = {
        receiver: {
            alert["labels"]["severity"]
            for alert in inbox.alerts(receiver, 0)
            if alert["labels"]["alertname"] == OVERDUE
        }
        for receiver in ("finance-email", "on-call-pagerduty")
    }
    assert severities == {
        "finance-email": {"critical", "warning"},
        "on-call-pagerduty": {"critical"},
    }
    spent = inbox.told("finance-email", BUDGET, "firing")
    assert spent is not None
    assert "$120.00" in spent["annotations"]["description"]
    assert spent["annotations"]["title"].startswith(f"{who.name} is over budget: $")
    assert f"Prometheus cannot scrape the exporter at 127.0.0.1:{web}\n" in inbox.slack()
