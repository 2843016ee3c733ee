"""Which organizations are polled beside those that are listed, and when that is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.config import Config, DiscoveryConfig, PollConfig, matcher
from exporter.config.values import regular_expression
from exporter.metrics.extract.values import MAX_LABEL_LENGTH
from exporter.metrics.own import Own
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause, FoundOrganization, Secret
from exporter.polling.discovery import (
    CONCURRENCY,
    RETRY,
    Discovery,
    Found,
    keys_by_id,
    merge,
    usable,
)
from exporter.state.storage import Storage
from support.reader import OUTAGE, organization
from support.virtual import START, VirtualClock, run

REFUSED = BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "not an owner")
HOUR = 3600.0
ONE, TWO = (ApiKey(name, secret=Secret("k")) for name in ("one", "two"))


def found(**by_key: str) -> Found:
    """Return what was found: for each key the letters of ids, names in capitals."""
    return {
        key: tuple(FoundOrganization(letter, letter.upper()) for letter in letters)
        for key, letters in by_key.items()
    }


def config(*keys: ApiKey, listed: str = "", **settings: Any) -> Config:
    """Return a configuration with these keys, the first for all, the others of an organization."""
    first, *others = keys or (ONE,)
    organizations = [organization(letter, api_key=first, name="listed") for letter in listed]
    organizations += [organization(f"of-{key.id}", api_key=key) for key in others]
    return Config(
        tuple(organizations),
        credentials=first,
        poll=PollConfig(interval=120.0),
        budget_usd=7.0,
        discovery=DiscoveryConfig(**{"enabled": True} | settings),
    )


def ids(merged: Config) -> list[str]:
    """Return the ids of all organizations."""
    return [each.id for each in merged.organizations]


class Lister:
    """Lists what it is told to, by key; an error is raised. Takes a second, unless told."""

    def __init__(self, **answers: str | BillingError) -> None:
        self.answers: dict[str, str | BillingError] = answers
        self.delays: dict[str, float] = {}
        self.calls: list[tuple[float, str]] = []
        self.most = self._now = 0

    async def organizations(self, api_key: ApiKey) -> Iterable[FoundOrganization]:
        """Answer as told."""
        self.calls.append((asyncio.get_running_loop().time(), api_key.id))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(self.delays.get(api_key.id, 1))
        finally:
            self._now -= 1
        answer = self.answers.get(api_key.id, "")
        if isinstance(answer, BillingError):
            raise answer
        return found(key=answer)["key"]


async def own(discovery: Discovery, name: str, **labels: str) -> float | None:
    """Return what the exporter's own metric says, or None if it is not there."""
    page = await asyncio.to_thread(discovery._telemetry.text)
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def looking(
    lister: Lister,
    scenario: Callable[[Discovery, list[Found]], Awaitable[None]],
    before: Found | None = None,
    configuration: Config | None = None,
) -> None:
    """Run a discovery in virtual time, and a scenario beside it that sees each change."""

    async def main() -> None:
        telemetry = Telemetry("1.2.3", "abc")
        discovery = Discovery(
            configuration or config(),
            lister,
            clock=VirtualClock(),
            telemetry=telemetry,
            found=before or {},
        )
        changes: list[Found] = []

        async def changed() -> None:
            changes.append(dict(discovery.found))

        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(discovery.run(changed))
            await scenario(discovery, changes)
            running.cancel()

    run(main())


# --- What is polled ---


def test_what_is_found_has_the_defaults_of_the_file_and_its_name_from_the_api() -> None:
    """As if it was listed with nothing but its id."""
    (acme,) = merge(config(), found(one="a")).organizations
    assert (acme.id, acme.name, acme.api_key) == ("a", "A", ONE)
    assert (acme.interval, acme.max_age, acme.budget_usd, acme.labels) == (120.0, 480.0, 7.0, {})


def test_what_is_listed_wins() -> None:
    """With all that the file says of it, whatever its name at the API, or the pattern."""
    merged = merge(config(listed="a", name_pattern="B"), found(one="abc"))
    assert [(each.id, each.name) for each in merged.organizations] == [("a", "listed"), ("b", "B")]


def unnamed(*, enabled: bool) -> Config:
    """Return a configuration with a named organization, and one without a name for each key."""
    given = config(ONE, TWO, listed="a", enabled=enabled)
    nameless = [organization("b", api_key=ONE, name="b"), organization("c", api_key=TWO, name="c")]
    return replace(given, organizations=(given.organizations[0], *nameless))


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_listed_without_a_name_gets_that_of_the_api(enabled: bool) -> None:  # noqa: FBT001 - a case
    """With discovery or without; a name that is given stays, and an unknown one is the id."""
    merged = merge(unnamed(enabled=enabled), found(one="ab"))
    assert [(each.id, each.name) for each in merged.organizations] == [
        ("a", "listed"),
        ("b", "B"),
        ("c", "c"),
    ]


def test_of_several_keys_the_first_in_the_file_has_it() -> None:
    """That at the top level stands before those of organizations."""
    merged = merge(config(ONE, TWO), found(two="ab", one="bc"))
    assert {each.id: each.api_key.id for each in merged.organizations} == {
        "of-two": "two",
        "b": "one",
        "c": "one",
        "a": "two",
    }
    assert list(keys_by_id(config(ONE, TWO))) == ["one", "two"]


def test_the_pattern_must_match_the_whole_name() -> None:
    """As Prometheus' own patterns do."""
    names = [FoundOrganization(name, name) for name in ("acme", "acme-eu", "eu-acme", "x\ny")]
    assert ids(merge(config(name_pattern="acme.*"), {"one": names})) == ["acme", "acme-eu"]
    assert len(ids(merge(config(), {"one": names}))) == 4


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "(.*a){30}b", "(.*)*x", r"(\w+\s?)*!", "(a?){200}a{250}b"],
)
def test_no_name_keeps_a_pattern_busy(pattern: str) -> None:
    """Python's own engine takes minutes, or for ever, over each of them: names are a stranger's."""
    names = [FoundOrganization(str(n), "a" * (MAX_LABEL_LENGTH - n)) for n in range(20)]
    assert len(ids(merge(config(name_pattern=pattern), {"one": names}))) in {0, 20}


WORDS = st.text("ab-", max_size=6)
PATTERNS = st.recursive(
    st.sampled_from(["a", "b", "-", ".", "[ab]", "[^a]", r"\w", "^", "$", "(?i:A)"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda each: f"({each[0]}){each[1]}"),
    ),
    max_leaves=5,
)


@given(PATTERNS, WORDS)
def test_patterns_mean_what_they_mean_in_python(pattern: str, name: str) -> None:
    """Whatever is not refused: nobody's pattern takes other organizations than it did."""
    assert matcher(regular_expression(pattern))(name) == bool(
        re.compile(pattern, re.DOTALL).fullmatch(name)
    )


def test_without_discovery_nothing_is_found() -> None:
    """What a process before this one found does not count."""
    assert ids(merge(config(listed="x", enabled=False), found(one="a"))) == ["x"]


@given(st.lists(st.tuples(st.text(max_size=300), st.text(max_size=300))))
def test_an_id_is_one_that_a_file_could_have_and_a_name_is_never_empty(
    answer: list[tuple[str, str]],
) -> None:
    """Others are left out: nobody could list them, nor open their page."""
    for org_id, name in usable(FoundOrganization(*each) for each in answer):
        assert org_id.isprintable()
        assert 0 < len(org_id) <= 256
        assert 0 < len(name) <= 256
        assert name.strip()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "id"),
        (" \n\t", "id"),
        ("\u200d\u3000\u200b", "id"),
        ("\u3164", "id"),
        ("株式会社\u3000月面", "株式会社\u3000月面"),
        ("<b>Acme</b>", "<b>Acme</b>"),
        ("a\0b\x1b[31m", "a\0b\x1b[31m"),
        ("n" * 300, "n" * 256),
    ],
)
def test_an_odd_name_is_a_label_like_any_text_of_the_api(name: str, shown: str) -> None:
    """Cut where it is too long, and the id in place of one that nobody could see."""
    (acme,) = merge(config(), {"one": usable([FoundOrganization("id", name)])}).organizations
    assert acme.name == shown


def test_what_comes_twice_counts_once_and_order_means_nothing() -> None:
    """The first one: an answer that is only shuffled is no news."""
    answer = [FoundOrganization(*each) for each in ("bB", "aA", "bX")]
    assert usable(answer) == found(one="ab")["one"]


# --- When it is asked ---


def test_it_asks_at_once_and_then_at_the_interval() -> None:
    """Who disappears from a good answer is gone; an answer that is the same changes nothing."""
    lister = Lister(one="ab")

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        before = discovery.settled
        await asyncio.sleep(2.5)
        assert (before, discovery.settled) == (False, True)
        await asyncio.sleep(HOUR)
        lister.answers["one"] = "b"
        await asyncio.sleep(HOUR + 2)
        assert changes == [found(one="ab"), found(one="b")]
        assert [at for at, _ in lister.calls] == [0, HOUR + 1, 2 * HOUR + 2]

    looking(lister, scenario)


def test_an_error_withdraws_nothing_and_is_logged_once() -> None:
    """What may pass is tried again soon, then as often as bills are; a refusal like those."""
    lister = Lister(one=OUTAGE, two=REFUSED)
    before = found(one="a", two="b")

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(10 * RETRY)
        assert discovery.settled, "asked, if in vain"
        assert discovery.found == before
        assert changes == [before], "once, for it has settled"
        ones = [at for at, key in lister.calls if key == "one"]
        assert ones == [0, 61, 182, 303, 424, 545]
        assert [at for at, key in lister.calls if key == "two"] == [0, 121, 242, 363, 484]
        lister.answers["one"] = "c"
        await asyncio.sleep(2 * RETRY + 2)
        assert changes[1:] == [found(one="c", two="b")]

    with capture_logs() as logs:
        looking(lister, scenario, before, config(ONE, TWO))
    assert [(each["log_level"], each["api_key_id"]) for each in logs] == [
        ("warning", "one"),
        ("warning", "two"),
        ("info", "one"),
    ]


def test_who_is_left_out_is_told_once() -> None:
    """An id that nobody can see, such as one of zero width; the others are polled."""
    lister = Lister(one="a\u200b\n", two="b")

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(3 * HOUR)
        assert changes == [found(one="a", two="b")]
        lister.answers["two"] = "b\u202e"
        await asyncio.sleep(HOUR + 2)
        assert discovery.found == found(one="a", two="b")

    with capture_logs() as logs:
        looking(lister, scenario, configuration=config(ONE, TWO))
    assert [(log["log_level"], log["api_key_id"], log["organizations"]) for log in logs] == [
        ("warning", "one", 2),
        ("warning", "two", 1),
    ]


def test_a_server_that_asks_to_wait_is_not_asked_before() -> None:
    """For a day at the longest."""
    lister = Lister(
        one=BillingError(Cause.THROTTLED, "X", "less", transient=True, retry_after=2 * HOUR)
    )

    async def scenario(_discovery: Discovery, _changes: list[Found]) -> None:
        await asyncio.sleep(2 * HOUR + 2)
        assert [at for at, _ in lister.calls] == [0, 2 * HOUR + 1]

    looking(lister, scenario)


def test_few_are_asked_at_once() -> None:
    """However many keys there are."""
    keys = [ApiKey(f"k{number}", secret=Secret("k")) for number in range(20)]
    lister = Lister(**{key.id: "a" for key in keys})

    async def scenario(_discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(20)
        assert lister.most == CONCURRENCY
        assert len(changes[-1]) == 20

    looking(lister, scenario, configuration=config(*keys))


def test_it_has_settled_when_what_was_found_last_was_told() -> None:
    """Not before: the exporter would be ready without organizations that are known by then."""
    lister = Lister(one="a", two="b")
    lister.delays["two"] = 1.5

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(1.7)
        assert (changes, discovery.found) == ([found(one="a")], found(one="a", two="b"))
        assert not discovery.settled
        await asyncio.sleep(1)
        assert changes[1:] == [found(one="a", two="b")]
        assert discovery.settled

    looking(lister, scenario, configuration=config(ONE, TWO))


def test_a_key_that_hangs_holds_up_no_other() -> None:
    """What the others found is polled meanwhile, and they are asked again in their turn."""
    lister = Lister(one="a", two="b")
    lister.delays["one"] = 3 * HOUR

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(2)
        assert changes == [found(two="b")]
        assert not discovery.settled
        lister.answers["two"] = "bc"
        await asyncio.sleep(HOUR + 1)
        assert changes[1:] == [found(two="bc")]
        await asyncio.sleep(2 * HOUR)
        assert changes[2:] == [found(one="a", two="bc")]
        assert discovery.settled

    looking(lister, scenario, configuration=config(ONE, TWO))


def test_many_keys_that_hang_leave_their_places_to_others() -> None:
    """Sixteen at once, so two hundred of them hold up one that is good for two minutes."""
    hung = [ApiKey(f"k{number}", secret=Secret("k")) for number in range(200)]
    lister = Lister(two="b", **{key.id: "" for key in hung})
    lister.delays = {key.id: 10.0 for key in hung}  # until the deadline
    lister.answers |= {key.id: OUTAGE for key in hung}

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(130)
        assert lister.most == 16, "their answers may be long, and come together"
        assert changes == [found(two="b")]
        assert not discovery.settled

    looking(lister, scenario, configuration=config(*hung, TWO))


def test_what_many_keys_find_is_taken_together() -> None:
    """Once a second at most: a thousand answers are not a thousand changes of all polls."""
    keys = [ApiKey(f"k{number}", secret=Secret("k")) for number in range(1000)]
    lister = Lister(**{key.id: "a" for key in keys})
    lister.delays = {key.id: 0.01 for key in keys}

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(10)
        assert len(lister.calls) == len(changes[-1]) == 1000
        assert len(changes) < 6
        assert discovery.settled

    looking(lister, scenario, configuration=config(*keys))


def test_the_metrics_say_how_it_fares() -> None:
    """Nothing before every key was asked; 0 while any fails; how old the oldest answer is."""
    lister = Lister(one="a", two="b")
    lister.delays["two"] = 5.0
    calls = "viam_billing_exporter_api_requests_total"

    async def scenario(discovery: Discovery, _changes: list[Found]) -> None:
        async def now() -> tuple[float | None, ...]:
            metrics = (Own.DISCOVERY_SUCCESSFUL, Own.DISCOVERY_TIME)
            return tuple([await own(discovery, metric.name) for metric in metrics])

        await asyncio.sleep(2)
        assert await now() == (None, None)
        assert await own(discovery, calls, method="ListOrganizations") == 0.0, (
            "counted by the client"
        )
        await asyncio.sleep(5)
        assert await now() == (1.0, START + 1)
        lister.answers["two"] = OUTAGE
        await asyncio.sleep(HOUR + 5)
        assert await now() == (0.0, START + 5)
        looks = discovery.status
        assert looks is not None
        assert (looks.keys, looks.failing) == (2, {"two": OUTAGE.failure})
        discovery.configure(config(enabled=False), lister)
        assert await now() == (None, None)
        assert discovery.status is None

    looking(lister, scenario, configuration=config(ONE, TWO))


def test_without_discovery_only_keys_of_who_has_no_name_are_asked() -> None:
    """Again at the interval, since names change; a failure and its end are said at info."""
    lister = Lister(two=OUTAGE)

    async def scenario(discovery: Discovery, seen: list[Found]) -> None:
        assert discovery.settled  # readiness does not wait for names
        await discovery.told()
        assert [key for _, key in lister.calls] == ["two"]
        assert discovery.status is None
        assert await own(discovery, str(Own.DISCOVERY_SUCCESSFUL)) is None
        lister.answers["two"] = "a"
        await asyncio.sleep(2 * RETRY)
        assert seen[-1] == found(two="a")
        calls = len(lister.calls)
        await asyncio.sleep(HOUR)
        assert len(lister.calls) == calls + 1

    with capture_logs() as logs:
        given = unnamed(enabled=False)
        given = replace(given, organizations=(given.organizations[0], given.organizations[2]))
        looking(lister, scenario, configuration=given)
    failed, again = (each for each in logs if each["log_level"] != "debug")
    assert (failed["log_level"], again["log_level"]) == ("info", "info")
    assert failed["event"] == "cannot get organization names; showing the last known names, or ids"
    assert failed["reason"]
    assert again["event"] == "organization names are available again"


def test_without_discovery_its_call_is_not_counted() -> None:
    """Series that never move would only raise questions."""

    async def scenario(discovery: Discovery, _changes: list[Found]) -> None:
        assert b"ListOrganizations" not in await asyncio.to_thread(discovery._telemetry.text)
        assert discovery.settled

    looking(Lister(), scenario, configuration=config(enabled=False))


def test_a_reload_asks_anew_with_its_keys_and_forgets_others() -> None:
    """Calls under way are given up; those that were found before the reload stay until then."""
    lister, other = Lister(one="a", two="b"), Lister(two="c")

    async def scenario(discovery: Discovery, changes: list[Found]) -> None:
        await asyncio.sleep(2)
        discovery.configure(config(TWO), other)
        assert discovery.found == found(two="b")
        await asyncio.sleep(0.5)
        discovery.configure(config(TWO), other)
        await asyncio.sleep(2)
        assert changes[-1] == found(two="c")
        assert [at for at, _ in other.calls] == [2.0, 2.5]
        discovery.configure(config(TWO, enabled=False), other)
        await asyncio.sleep(3 * HOUR)
        assert len(other.calls) == 2
        assert discovery.found == {}

    looking(lister, scenario, configuration=config(ONE, TWO))


# --- What survives a restart ---


def test_what_was_found_is_stored_whole(tmp_path: Path) -> None:
    """So that a restart in an outage polls what was polled before."""
    storage = Storage(tmp_path / "s")
    assert storage.read().found == {}
    storage.save([], [], found(one="abc", two="c"))
    storage.save([], [], found(one="ab", two="c"))
    storage.save([], [])
    storage.close()
    storage = Storage(tmp_path / "s")
    assert storage.read().found == found(one="ab", two="c")
    with storage._database.use() as database, database:
        database.execute("UPDATE found SET name = 'X' WHERE org_id = 'a'")
    assert storage.read().found == found(one="b", two="c"), "a damaged row is left out"
    storage.close()
