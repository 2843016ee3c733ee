"""What was made of answers is used again after a restart, and only if it would be the same."""

from __future__ import annotations

import inspect
import shutil
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import fragments
from exporter.model import (
    ApiKey,
    CollectorState,
    InvoiceDetail,
    Moment,
    Organization,
    OrganizationState,
    Reading,
    SavedAnswer,
    SavedOrganization,
)
from exporter.pb import billing_pb2 as pb
from exporter.polling import answers
from exporter.polling.answers import COLLECTOR
from exporter.polling.schedule import Unit
from exporter.process.program import program
from exporter.state.ledger import IN_MEMORY
from exporter.state.messages import packed, unpacked
from exporter.state.place import FILE
from exporter.state.storage import Storage
from support.messages import messages

NOW = Moment(1_790_000_000.0, 500.0)
DUE = NOW.time + 3600
INVOICES = COLLECTOR["invoices"]
ACME = Organization("acme", "Acme", ApiKey("key"), 900.0, 3600.0, 250.0, {"team": "fleet"})
DETAIL = InvoiceDetail("open", 24)

OTHER_ORGANIZATION: dict[str, Any] = {
    "id": "bolt",
    "name": "Bolt",
    "api_key": ApiKey("other"),
    "interval": 60.0,
    "max_age": 7200.0,
    "budget_usd": None,
    "labels": {"team": "depot"},
}
OTHER_DETAIL: dict[str, Any] = {"detail": "all", "limit": 1}


def message(balance: float = 20.0) -> bytes:
    """Return invoices: one that falls due in an hour, and two that are paid."""
    answer = pb.GetInvoicesSummaryResponse(outstanding_balance=balance)
    for number, status in enumerate(("outstanding", "paid", "paid")):
        invoice = answer.invoices.add(id=f"in_{number}", invoice_amount=20.0, status=status)
        invoice.due_date.FromSeconds(int(DUE))
    return packed(answer.SerializeToString())


def saved(received: Moment = NOW) -> SavedAnswer:
    """Return an answer as it is stored."""
    made, _ = answers.take_in(INVOICES, ACME, message(), b"", DETAIL, received)
    return SavedAnswer(made.message, received.time, received.time, made.reading)


def restored(
    of: SavedAnswer, organization: Organization = ACME, detail: InvoiceDetail = DETAIL, **at: float
) -> Reading:
    """Return what is made of it after a restart, after checking that it is what it should be."""
    now = NOW._replace(**at)
    found = answers.restored(INVOICES, organization, of, detail, now)
    again = answers.reread(INVOICES, organization, of, detail, now)
    assert found._replace(reading=again.reading) == again
    # What was made at another moment may be kept, if nothing else is different.
    assert found.reading._replace(as_of=0.0) == again.reading._replace(as_of=0.0)
    return found.reading


def test_a_reading_of_the_same_is_used_as_it_is() -> None:
    """A start decodes and renders nothing of it."""
    of = saved()
    assert restored(of) is of.reading
    assert restored(of, time=DUE - 1) is of.reading


def test_a_reading_is_made_again_when_time_has_changed_it() -> None:
    """When a due date has passed, and before the moment for which it was made."""
    of = saved()
    assert restored(of, time=DUE) is not of.reading
    assert restored(of, time=NOW.time - 1) is not of.reading
    assert restored(saved(NOW._replace(time=DUE)), time=DUE - 1).next_change == DUE


@pytest.mark.parametrize("field", [each.name for each in fields(Organization)])
def test_a_reading_is_made_again_when_the_organization_says_otherwise(field: str) -> None:
    """A new field of an organization fails here until someone says what another value is."""
    other = replace(ACME, **{field: OTHER_ORGANIZATION[field]})
    assert other != ACME
    restored(saved(), other)


@pytest.mark.parametrize("field", [each.name for each in fields(InvoiceDetail)])
def test_a_reading_is_made_again_when_other_invoices_are_shown(field: str) -> None:
    """All fields of the setting count, whichever there are."""
    of = saved()
    assert restored(of, detail=replace(DETAIL, **{field: OTHER_DETAIL[field]})) is not of.reading


def test_a_reading_is_made_again_when_the_answer_is_another_one() -> None:
    """As after a release that knows no readings has stored a newer answer."""
    of = saved()
    assert restored(replace(of, message=message(30.0))) is not of.reading


def test_a_reading_is_of_its_collector() -> None:
    """Two of them could answer with the same bytes."""
    found = {answers.made_from(name, ACME, b"", DETAIL) for name in COLLECTOR}
    assert len(found) == len(COLLECTOR)


def test_nothing_else_goes_into_a_reading() -> None:
    """What is added to these has to be told apart by `made_from`, and varied above."""
    made = inspect.signature(answers._reading).parameters.keys()
    assert {*made} == {"collector", "organization", "view", "message", "detail", "now"}
    told_apart = inspect.signature(answers.made_from).parameters.keys()
    assert {*made} - {*told_apart} == {"view", "now"}  # made of the message and the detail; as_of
    seen = inspect.signature(INVOICES.view).parameters
    assert len(seen) == len(("message", "now", "detail"))


def test_what_is_stored_is_on_the_page() -> None:
    """Beside the lines, it holds numbers and names of what the lines have."""
    reading = saved().reading
    assert reading is not None
    lines = b"".join(fragments.unpacked(reading.fragments)).decode()
    assert all(f"{name.split('/')[0]}{{" in lines for name in reading.figures)
    assert reading[4:8] == ({}, {}, None, "")


def after_a_restart(state: OrganizationState, name: str, at: Moment) -> OrganizationState:
    """Return what is known of an organization again when it was stored."""
    old = state.collectors[name].answer
    assert old is not None
    stored = SavedAnswer(old.message, old.received, old.changed, old.reading)
    answer = answers.restored(COLLECTOR[name], ACME, stored, DETAIL, at)
    return state._replace(collectors={name: CollectorState(answer)})


def taken_in(state: OrganizationState, name: str, raw: bytes, at: Moment) -> OrganizationState:
    """Return what is known of an organization with an answer."""
    taken = answers.taken_in(state, Unit(ACME.id, name), raw, DETAIL, at, IN_MEMORY)
    return OrganizationState(ACME, {name: CollectorState(taken.answer)}, *taken[1:])


def without_moment(state: OrganizationState, name: str) -> OrganizationState:
    """Return it without the moment for which its reading was made: a later one may say the same."""
    answer = state.collectors[name].answer
    assert answer is not None
    answer = answer._replace(reading=answer.reading._replace(as_of=0.0))
    return state._replace(collectors={name: CollectorState(answer)})


@pytest.mark.parametrize("name", COLLECTOR)
@given(data=st.data())
def test_a_restart_between_two_answers_changes_nothing(name: str, data: st.DataObject) -> None:
    """Whether the second is the first again or another."""
    first, second = [
        data.draw(messages(COLLECTOR[name].message)).SerializeToString() for _ in range(2)
    ]
    later = Moment(NOW.time + 60, NOW.monotonic + 60)
    known = taken_in(OrganizationState(ACME, {name: CollectorState()}), name, first, NOW)
    restarted = after_a_restart(known, name, later)
    for raw in first, second:
        again, on = [taken_in(each, name, raw, later) for each in (restarted, known)]
        assert without_moment(again, name) == without_moment(on, name)


def test_an_answer_that_was_stored_and_comes_again_is_not_made_twice() -> None:
    """What was made of it stays, and no second one is in memory until that is stored."""
    raw = unpacked(message())
    known = taken_in(OrganizationState(ACME, {"invoices": CollectorState()}), "invoices", raw, NOW)
    restarted = after_a_restart(known, "invoices", NOW)
    old = known.collectors["invoices"].answer
    new = taken_in(restarted, "invoices", raw, NOW).collectors["invoices"].answer
    assert old is not None
    assert new is not None
    assert (new.reading is old.reading, new.message is old.message) == (True, True)


def test_another_answer_than_the_one_that_was_stored_is_made() -> None:
    """Whatever was stored."""
    again = answers.restored(INVOICES, ACME, saved(), DETAIL, NOW)
    state = OrganizationState(ACME, {"invoices": CollectorState(again)})
    raw = unpacked(message(30.0))
    taken = answers.taken_in(state, Unit(ACME.id, "invoices"), raw, DETAIL, NOW, IN_MEMORY)
    assert taken.answer.reading is not again.reading
    made, _ = answers.take_in(INVOICES, ACME, raw, answers.digest(raw), DETAIL, NOW)
    assert taken.answer == made


# --- In storage ---


def stored(folder: Path, by: bytes | None = b"this", answer: SavedAnswer | None = None) -> None:
    """Store an answer of an organization, as a program does."""
    organization = SavedOrganization("acme", {"invoices": answer or saved()}, None)
    with closing(Storage(folder, program=by)) as storage:
        storage.read()
        storage.save([organization], [])


def read(folder: Path, by: bytes | None = b"this") -> SavedAnswer:
    """Return the answer that is stored, as a program reads it."""
    with closing(Storage(folder, program=by)) as storage:
        return storage.read().organizations["acme"].answers["invoices"]


def damage(folder: Path, statement: str) -> None:
    """Change what is stored."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(statement)


def test_a_reading_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    """To the same program."""
    stored(tmp_path)
    assert read(tmp_path) == saved()


@pytest.mark.parametrize("other", [b"other", None])
def test_what_another_program_made_is_not_read(tmp_path: Path, other: bytes | None) -> None:
    """Nor by a command, which makes no readings. The answer is there all the same."""
    stored(tmp_path)
    assert read(tmp_path, other) == replace(saved(), reading=None)


def test_a_program_that_makes_no_readings_leaves_none(tmp_path: Path) -> None:
    """Those there were are of the answers before."""
    stored(tmp_path)
    stored(tmp_path, None)
    assert read(tmp_path).reading is None


def test_readings_leave_with_their_organization(tmp_path: Path) -> None:
    """Whoever is not configured any more is forgotten."""
    stored(tmp_path)
    with closing(Storage(tmp_path, program=b"this")) as storage:
        storage.read()
        storage.save([], ["acme"])
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("SELECT * FROM reading").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reading SET kept = substr(kept, 1, length(kept) - 1)",
        "UPDATE reading SET kept = x''",
        "UPDATE reading SET kept = 'text'",
        "UPDATE reading SET checksum = checksum + 1",
        "UPDATE reading SET collector = 'usage'",
        "UPDATE reading SET org_id = 'bolt'",
        "UPDATE reading SET org_id = x'ff'",
        "DELETE FROM reading",
        "DROP TABLE reading",
    ],
)
def test_damaged_readings_cost_time_and_nothing_else(tmp_path: Path, statement: str) -> None:
    """The answer is there, and is read again."""
    stored(tmp_path)
    damage(tmp_path, statement)
    assert read(tmp_path) == replace(saved(), reading=None)


def test_the_program_is_another_one_when_any_of_its_files_is(tmp_path: Path) -> None:
    """Whatever may have a part in a line is in one of them."""
    package = Path(answers.__file__).parents[1]
    copy = tmp_path / "exporter"
    shutil.copytree(package, copy)
    known = {program(copy)}
    assert known == {program()}
    for name in ("metrics/render.py", "model.py", "pb/billing_pb2.py"):
        with (copy / name).open("a") as file:
            file.write("\n")
        known.add(program(copy))
    (copy / "new.py").touch()
    known.add(program(copy))
    (copy / "new.py").rename(copy / "newer.py")
    known.add(program(copy))
    assert len(known) == 6


def test_a_program_without_sources_is_told_apart_from_none(tmp_path: Path) -> None:
    """It stores and reads no readings."""
    assert program(tmp_path) is None
