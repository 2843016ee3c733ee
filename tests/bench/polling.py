"""How fast a fleet is polled, beside gRPC alone with the same options."""

from __future__ import annotations

from typing import Any, NamedTuple

from bench import programs, usage
from bench.client import pause, wait
from bench.data import Polling
from bench.figures import short
from bench.findings import Findings, Setting, Table
from bench.programs import Billing, Requests, Server

CALLS = 3  # for each organization in a round
WARM_UP, SECONDS = 2.0, 10.0

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
    paces: dict[tuple[str, str], Pace] = {}
    with programs.billing(setting.folder, setting.largest) as upstream:
        paces[OURS, NEW], paces[OURS, UNCHANGED] = _exporter(setting, upstream)
    with programs.billing(setting.folder, setting.largest, changing=100) as upstream:
        _, paces[OURS, CHANGED] = _exporter(setting, upstream)
    with programs.billing(setting.folder, setting.largest) as upstream:
        cpu = programs.bare_loop(upstream, setting.largest, programs.CONCURRENCY, rounds=3)
        bare = paces[BARE, DROPPED] = _pace(upstream.requests(), cpu)
    changed, unchanged = paces[OURS, CHANGED], paces[OURS, UNCHANGED]
    findings.values["polling, changed / bare"] = changed.rate / bare.rate
    findings.values["polling, unchanged / bare"] = unchanged.rate / bare.rate
    findings.values["CPU, unchanged / bare"] = unchanged.cost / bare.cost
    rows = [
        [
            *(short(setting.largest), *key, short(pace.rate), short(pace.rate / bare.rate)),
            *(short(1e6 * pace.cost), short(pace.cost / bare.cost)),
        ]
        for key, pace in paces.items()
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
    seconds: dict[tuple[str, int], float] = {}
    for cap in CAPS:
        options: dict[str, Any] = {"latency": f"{LATENCY}s", "streams": cap}
        with (
            programs.billing(setting.folder, setting.largest, **options) as upstream,
            programs.exporter(setting.folder, setting.largest, upstream, WIDE),
        ):
            _wait_for_round(setting, upstream)
            seconds[OURS, cap] = upstream.requests().seconds + LATENCY
        with programs.billing(setting.folder, setting.largest, **options) as upstream:
            programs.bare_loop(upstream, setting.largest, WIDE.concurrency)
            seconds[BARE, cap] = upstream.requests().seconds + LATENCY
    findings.values["round at 50 ms"] = seconds[OURS, CAPS[0]]
    findings.tables.append(
        Table(
            "round",
            ("organizations", "calls", "client", "streams allowed", "seconds"),
            [
                [
                    *(short(setting.largest), short(CALLS * setting.largest), who),
                    *(short(cap), short(took)),
                ]
                for (who, cap), took in seconds.items()
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
