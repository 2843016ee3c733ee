"""The catalogue of faults, how they are written, and which calls one hits."""

from __future__ import annotations

import math
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.simulator import Fault, FaultError, FaultFile, SimulatedClock, catalogue
from exporter.simulator.answer_faults import ON_ANSWER
from exporter.simulator.call_faults import ON_ARRIVAL
from exporter.simulator.faults import parse
from exporter.simulator.http2 import Frames, frame
from exporter.simulator.injection import FaultSet
from exporter.simulator.scenarios import SCENARIOS, Kind
from support.clock import StandingClock

USAGE = "GetCurrentMonthUsage"


def fault_set() -> FaultSet:
    """Return an empty set for two organizations."""
    return FaultSet(("one", "two"), SimulatedClock(StandingClock()), Random(1))


def hits(faults: FaultSet, count: int) -> list[bool]:
    """Return which of so many calls fail with UNAVAILABLE."""
    return [any(faults.on_call({"unavailable"}, USAGE, ("one",))) for _ in range(count)]


# --- The catalogue ------------------------------------------------------------------------


def test_the_help_lists_the_catalogue() -> None:
    """Every fault with its description, under the heading of its kind."""
    lines = catalogue().splitlines()
    for scenario in SCENARIOS.values():
        line = f"  {scenario.name:21} {scenario.description}"
        assert f"{scenario.kind}:" in lines[: lines.index(line)]
    assert max(map(len, lines)) <= 100


def test_every_fault_is_brought_about() -> None:
    """Statuses and answers by a table; others by name, somewhere in the simulator."""
    folder = Path(__file__).parents[2] / "exporter" / "simulator"
    code = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "scenarios.py")
    for name, scenario in SCENARIOS.items():
        assert name in ON_ANSWER | ON_ARRIVAL or f'"{name}"' in code
        assert (name in ON_ANSWER) == (scenario.kind is Kind.DATA)


# --- How faults are written ---------------------------------------------------------------


def test_a_fault_alone_hits_everything() -> None:
    """Without settings it is every call's, for ever."""
    assert parse("unavailable") == Fault("unavailable")
    assert parse(" nan: ") == Fault("nan")


def test_every_setting_is_read() -> None:
    """Selectors, times and the scenario's own, with spaces where people put them."""
    text = "slow: method=GetInvoicesSummary, organization=3, share=0.25, every=2, times=5"
    assert parse(f"{text}, from=30s, until=1m, delay=50ms") == Fault(
        name="slow",
        method="GetInvoicesSummary",
        organization="3",
        share=0.25,
        every=2,
        times=5,
        since=30.0,
        until=60.0,
        values={"delay": 0.05},
    )


def test_parameters_have_defaults() -> None:
    """What is not given is as the catalogue says."""
    assert parse("slow").value("delay") == 1.0
    assert parse("unavailable").value("retry-info") is None
    assert parse("nan").value("amounts") == math.inf


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown fault '': known are unavailable, "),
        ("nonsense", "unknown fault 'nonsense': known are unavailable, "),
        ("nan:foo=1", "nan: unknown key 'foo': known are method, organization, share, every, "),
        ("nan:share", "nan: share=: must be a number from 0 to 1"),
        ("nan:share=2", "nan: share=2: must be a number from 0 to 1"),
        ("nan:share=nan", "nan: share=nan: must be a number from 0 to 1"),
        ("nan:every=0", "nan: every=0: must be a whole number above 0"),
        ("nan:times=1.5", "nan: times=1.5: must be a whole number above 0"),
        ("nan:from=30", "nan: from=30: must be a duration with a unit"),
        ("nan:from=2m,until=1m", "nan: until must be later than from"),
        ("nan:share=1,share=1", "nan: share is given twice"),
        ("nan:organization=", "nan: organization=: must be an id, or a number"),
        ("nan:method=Authenticate", "must be one of GetCurrentMonthUsage, GetInvoicesSummary"),
        ("credit:usd=inf", "credit: usd=inf: must be a number"),
        ("credit:usd=much", "credit: usd=much: must be a number"),
        ("http-502:http=3", "http-502: http=3: must be 1 or 2"),
        ("reset:method=Authenticate", "reset: unknown key 'method': known are share, every, times"),
        ("refuse:share=0.5", "refuse: unknown key 'share': known are from, until"),
    ],
)
def test_a_mistake_is_one_line_that_helps(text: str, message: str) -> None:
    """It names the fault, the key, the value and what is known or allowed."""
    with pytest.raises(FaultError, match=re.escape(message)) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.sampled_from(sorted(SCENARIOS)).map("{}:share=²".format))
def test_whatever_is_written_is_a_fault_or_an_error(text: str) -> None:
    """Nothing but FaultError comes out."""
    try:
        fault = parse(text)
    except FaultError:
        return
    assert fault.name in SCENARIOS


# --- Which calls are hit ------------------------------------------------------------------


def test_every_nth_call_is_hit() -> None:
    """Counted per fault, beginning with the n-th."""
    faults = fault_set()
    faults.inject("unavailable:every=3")
    assert hits(faults, 7) == [False, False, True] * 2 + [False]


def test_a_fault_may_be_over_after_some_hits() -> None:
    """And stays in force all the same, so that a test can ask for its hits."""
    faults = fault_set()
    injected = faults.inject("unavailable:every=2,times=2")
    assert hits(faults, 8) == [False, True] * 2 + [False] * 4
    assert injected.hits == 2
    assert list(faults) == [injected]


def test_chance_is_each_faults_own() -> None:
    """A further fault does not change which calls an earlier one hits."""
    outcomes = []
    for others in ([], ["hang:share=0.5", "nan:share=0.5"]):
        faults = fault_set()
        for text in ("unavailable:share=0.5", *others):
            faults.inject(text)
        outcomes.append(hits(faults, 50))
    assert outcomes[0] == outcomes[1]
    assert 10 < outcomes[0].count(True) < 40


@pytest.mark.parametrize("share", [0, 1])
def test_none_and_all_are_shares(share: int) -> None:
    """A share of 0 hits nothing, one of 1 everything."""
    faults = fault_set()
    faults.inject(f"unavailable:share={share}")
    assert hits(faults, 20) == [bool(share)] * 20


def test_a_wrong_answer_is_no_wrong_token_unless_asked_for() -> None:
    """Faults of answers leave Authenticate alone, or nothing else would be seen, unless named."""
    faults = fault_set()
    faults.inject("garbage")
    assert not any(faults.on_call({"garbage"}, "Authenticate", ("one",)))
    faults.inject("garbage:method=Authenticate")
    assert any(faults.on_call({"garbage"}, "Authenticate", ("one",)))


@pytest.mark.parametrize(("organization", "hit"), [("1", True), ("one", True), ("2", False)])
def test_an_organization_is_an_id_or_a_number(organization: str, hit: bool) -> None:  # noqa: FBT001 - data
    """Numbers count from 1, in the order of the accounts."""
    faults = fault_set()
    faults.inject(f"unavailable:organization={organization}")
    assert hits(faults, 1) == [hit]


@pytest.mark.parametrize("organization", ["0", "3", "three", "²"])
def test_an_organization_must_exist(organization: str) -> None:
    """The error says how many there are."""
    with pytest.raises(FaultError, match="must be an id, or a number from 1 to 2"):
        fault_set().inject(f"unavailable:organization={organization}")


def test_a_connection_is_decided_upon_once() -> None:
    """However often it is asked, until the fault is cleared."""
    faults = fault_set()
    injected = faults.inject("noise:every=2")
    connections: list[dict[object, bool]] = [{}, {}]
    for _ in range(3):
        found = [faults.on_connection({"noise"}, memory) for memory in connections]  # type: ignore[arg-type]
        assert found == [None, injected]
    injected.clear()
    injected.clear()
    assert faults.on_connection({"noise"}, {}) is None


# --- Files of faults ----------------------------------------------------------------------


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """Its errors are told with file and line, all at once, and the faults before stay."""
    file = tmp_path / "faults"
    faults = fault_set()
    faults.inject("slow")
    loader = FaultFile(file, faults)
    assert loader.load() == [f"{file}: No such file or directory"]
    file.write_text("# a rehearsal\n\nunavailable:every=2   # half of it\nnan\n")
    assert loader.load() == []
    assert [i.fault.name for i in faults] == ["slow", "unavailable", "nan"]
    file.write_text("hang\nhang:organization=9\n\nnonsense\n")
    errors = loader.load()
    assert [error.partition(": ")[0] for error in errors] == [f"{file}:2", f"{file}:4"]
    assert [i.fault.name for i in faults] == ["slow", "unavailable", "nan"]
    file.write_bytes(b"\xff")
    assert loader.load() == [f"{file}: is not UTF-8"]
    file.write_text("")
    assert loader.load() == []
    assert [i.fault.name for i in faults] == ["slow"]
    assert not len(loader)


# --- HTTP/2 -------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 60))
def test_frames_are_found_however_bytes_are_cut(payloads: list[bytes], size: int) -> None:
    """The frames come out as they went in, after the preface, from pieces of any size."""
    sent = [frame(0, place % 2, place, payload) for place, payload in enumerate(payloads)]
    data = b"preface" + b"".join(sent)
    frames = Frames(skip=7)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = [each for piece in pieces for each in frames.feed(piece)]
    assert [each.raw for each in found] == sent
    assert [each.payload for each in found] == payloads
    assert [each.stream for each in found] == list(range(len(payloads)))
    assert [each.ends_stream for each in found] == [place % 2 == 1 for place in range(len(found))]
