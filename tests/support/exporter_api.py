"""What exporters answer at /api/v1, and an exporter that gives nothing but that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from support.process import serving

LIST = "/api/v1/organizations"


def line(org_id: str, **fields: Any) -> dict[str, Any]:
    """Return an organization of a list, of which nothing else is known."""
    unknown = dict.fromkeys(
        (
            "up",
            "period_start",
            "period_end",
            "month_to_date_usd",
            "forecast_usd",
            "forecast_lower_usd",
            "forecast_upper_usd",
            "forecast_method",
            "budget_usd",
            "budget_used",
            "budget_exhausted_at",
            "outstanding_balance_usd",
            "unpaid_usd",
            "overdue_usd",
            "last_success",
        )
    )
    head = {"org_id": org_id, "org_name": f"Company {org_id}"}
    return {**head, **unknown, "failures": [], "withheld": [], **fields}


def page(
    *lines: Mapping[str, Any], shard: tuple[int, int] = (0, 1), cursor: str | None = None
) -> dict[str, Any]:
    """Return a page of organizations."""
    return {
        "generated_at": "2026-11-27T12:00:00Z",
        "shard": {"ordinal": shard[0], "total": shard[1]},
        "next_cursor": cursor,
        "organizations": list(lines),
    }


def day(date: str, spend: float | None, corrections: float = 0.0) -> dict[str, Any]:
    """Return a day of the ledger; None is one that is unknown."""
    known = spend is not None
    return {
        "date": date,
        "spend_usd": spend,
        "corrections_usd": corrections if known else None,
        "estimated_usd": 0.0 if known else None,
        "unknown_seconds": 0.0 if known else 86400.0,
        "resources": {} if known else None,
        "resource_corrections": {} if known else None,
    }


def days(org_id: str, *listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the days of an organization."""
    head = {"org_id": org_id, "org_name": f"Company {org_id}"}
    return {**head, "generated_at": "2026-11-27T12:00:00Z", "days": list(listed)}


class FakeExporter:
    """An exporter that answers from a table: a status and a document for each path."""

    def __init__(self, answers: Mapping[str, tuple[int, Any]]) -> None:
        self.answers = answers
        self.port = 0
        self.asked: list[tuple[str, Mapping[str, Sequence[str]]]] = []  # paths and parameters
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def flag(self) -> str:
        """The argument that names it."""
        return f"--exporter={self.url}"

    @contextmanager
    def serving(self) -> Iterator[FakeExporter]:
        """Serve while inside."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                with outer._lock:
                    outer.asked.append((parts.path, parse_qs(parts.query)))
                    outer.headers.append(dict(self.headers.items()))
                status, document = outer.answers.get(parts.path, (404, {"error": "none"}))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with serving(Handler) as self.port:
            yield self


def fleet(*lines: Mapping[str, Any], **keys: Any) -> FakeExporter:
    """Return an exporter of these organizations, whose days are not asked for."""
    whole = {f"{LIST}/{quote(each['org_id'], safe='')}": (200, each) for each in lines}
    return FakeExporter({LIST: (200, page(*lines, **keys)), **whole})
