"""How fast a fleet is polled, beside gRPC alone with the same options."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any, NamedTuple

from bench import programs, usage
from bench.client import pause, wait
from bench.data import Polling
from bench.figures import short
from bench.findings import Findings, Setting, Table
from bench.programs import Billing, Requests, Server

CALLS = 3  # for each organization in a round
WARM_UP, SECONDS = 2.0, 5.0

LATENCY = 0.05  # seconds
WIDE = Polling(concurrency=512)
CAPS = (100_000, 100)  # calls in flight on one connection that the server allows

IN_FLIGHT = {0.0: (1, 8, 32, 128), LATENCY: (32, 128, 512)}  # by latency

OURS, BARE = "viam-billing-exporter", "bare grpc.aio loop"
NEW, UNCHANGED, CHANGED = "first round, all new", "nothing changed", "every amount changed"
DROPPED = "decoded and dropped"


class Pace(NamedTuple):
    """Calls a second, and the processor time that one takes its client, in seconds."""

    rate: float
    cost: float


def run(setting: Setting) -> Findings:
    """Measure without latency and with it."""
    findings = Findings()
    _rates(setting, findings)
    _rounds(setting, findings)
    _concurrencies(setting, findings)
    return findings


def _rates(setting: Setting, findings: Findings) -> None:
    paces: defaultdict[tuple[str, str], list[Pace]] = defaultdict(list)
    for _ in range(setting.some(3, 1)):
        with programs.billing(setting.folder, setting.largest) as upstream:
            first, later = _exporter(setting, upstream)
        paces[OURS, NEW].append(first)
        paces[OURS, UNCHANGED].append(later)
        with programs.billing(setting.folder, setting.largest, changing=100) as upstream:
            _, later = _exporter(setting, upstream)
        paces[OURS, CHANGED].append(later)
        with programs.billing(setting.folder, setting.largest) as upstream:
            cpu = programs.bare_loop(upstream, setting.largest, programs.CONCURRENCY, rounds=2)
            paces[BARE, DROPPED].append(_pace(upstream.requests(), cpu))
    rates = {key: statistics.median(pace.rate for pace in each) for key, each in paces.items()}
    costs = {key: statistics.median(pace.cost for pace in each) for key, each in paces.items()}
    bare = BARE, DROPPED
    findings.values["polling, changed / bare"] = rates[OURS, CHANGED] / rates[bare]
    findings.values["polling, unchanged / bare"] = rates[OURS, UNCHANGED] / rates[bare]
    findings.values["CPU, unchanged / bare"] = costs[OURS, UNCHANGED] / costs[bare]
    rows = [
        [
            *(short(setting.largest), *key, short(rates[key]), short(rates[key] / rates[bare])),
            *(short(1e6 * costs[key]), short(costs[key] / costs[bare])),
        ]
        for key in paces
    ]
    columns = (
        *("organizations", "client", "answers"),
        *("calls a second", "/ bare loop", "CPU us a call", "/ bare loop"),
    )
    findings.tables.append(Table("polling", columns, rows))


def _exporter(setting: Setting, upstream: Billing) -> tuple[Pace, Pace]:
    """Return the pace of the first round, start included in its processor time, and later."""
    flat_out = programs.FLAT_OUT
    with programs.exporter(setting.folder, setting.largest, upstream, flat_out) as ours:
        _wait_for_round(setting, upstream)
        first = _pace(upstream.requests(), usage.cpu(ours.pid))
        pause(WARM_UP)
        return first, _later(upstream, ours, SECONDS)


def _later(upstream: Billing, ours: Server, seconds: float) -> Pace:
    """Return the pace from now on."""
    before, used = upstream.requests(), usage.cpu(ours.pid)
    pause(seconds)
    after, used = upstream.requests(), usage.cpu(ours.pid) - used
    return _pace(Requests(after.number - before.number, before.last, after.last), used)


def _pace(requests: Requests, cpu: float) -> Pace:
    return Pace(requests.number / requests.seconds, cpu / requests.number)


def _wait_for_round(setting: Setting, upstream: Billing) -> None:
    calls = CALLS * setting.largest
    wait(
        lambda: upstream.requests().number >= calls,
        "all are polled",
        within=programs.READY_WITHIN,
        look_every=0.05,
    )


def _rounds(setting: Setting, findings: Findings) -> None:
    seconds: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(setting.some(3, 1)):
        # Where the server allows few calls, their number says how long it takes.
        for cap in CAPS[: 1 if number else None]:
            options: dict[str, Any] = {"latency": f"{LATENCY}s", "streams": cap}
            with (
                programs.billing(setting.folder, setting.largest, **options) as upstream,
                programs.exporter(setting.folder, setting.largest, upstream, WIDE),
            ):
                _wait_for_round(setting, upstream)
                seconds[OURS, cap].append(upstream.requests().seconds + LATENCY)
            with programs.billing(setting.folder, setting.largest, **options) as upstream:
                programs.bare_loop(upstream, setting.largest, WIDE.concurrency)
                seconds[BARE, cap].append(upstream.requests().seconds + LATENCY)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    findings.values["round at 50 ms"] = medians[OURS, CAPS[0]]
    findings.tables.append(
        Table(
            "round",
            ("organizations", "calls", "client", "streams allowed", "seconds"),
            [
                [
                    *(short(setting.largest), short(CALLS * setting.largest), who),
                    *(short(cap), short(median)),
                ]
                for (who, cap), median in medians.items()
            ],
        )
    )


def _concurrencies(setting: Setting, findings: Findings) -> None:
    """How many calls in flight gRPC makes use of."""
    rows = []
    for latency, tried in IN_FLIGHT.items():
        for concurrency in tried:
            count = setting.largest
            if latency:
                count = min(count, round(SECONDS * concurrency / latency / CALLS))
            with programs.billing(setting.folder, setting.largest, latency=f"{latency}s") as it:
                programs.bare_loop(it, count, concurrency)
                rate = _pace(it.requests(), 0.0).rate
            rows.append([short(1000 * latency), short(concurrency), short(rate)])
    columns = ("latency ms", "calls in flight", "calls a second, bare loop")
    findings.tables.append(Table("concurrency", columns, rows))
