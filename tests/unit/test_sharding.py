"""Which shard an organization belongs to, what a shard has of a configuration, and the flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import cli
from exporter.config import ApiConfig, ConfigError, load
from exporter.polling.sharding import Shard, choose
from support.reader import config, organization

IDS = [f"organization-{number}" for number in range(10_000)]
MOST = 16  # shards, in the tests that look at all of the ids
TOLERANCE = 0.15  # of a shard's even part: four standard deviations with sixteen shards
NO_NUMBER = (
    "--total-shards=3 needs --shard, or a number at the end of POD_NAME or of the host name, as a "
    "StatefulSet's pod has"
)


def owners(org_id: str, total: int) -> list[int]:
    """Return every shard that polls an organization."""
    return [ordinal for ordinal in range(total) if Shard(ordinal, total).owns(org_id)]


@cache
def owner_of_each(total: int) -> Sequence[int]:
    """Return the first shard that polls it, for each of the ids."""
    shards = [Shard(ordinal, total) for ordinal in range(total)]
    return [next(each.ordinal for each in shards if each.owns(org_id)) for org_id in IDS]


# --- The rule ---


@given(st.text(), st.integers(1, 100))
def test_every_organization_is_on_exactly_one_shard(org_id: str, total: int) -> None:
    """Whatever its id, and however many shards there are."""
    assert len(owners(org_id, total)) == 1


@given(st.text(), st.integers(1, 100))
def test_another_shard_takes_organizations_only_to_itself(org_id: str, total: int) -> None:
    """None moves between two that were there before."""
    before, after = owners(org_id, total), owners(org_id, total + 1)
    assert after in (before, [total])


@pytest.mark.parametrize("total", range(1, MOST))
def test_another_shard_takes_no_more_than_its_part(total: int) -> None:
    """One in n + 1 moves, the others stay."""
    pairs = zip(owner_of_each(total), owner_of_each(total + 1), strict=True)
    moved = sum(before != after for before, after in pairs)
    assert moved == pytest.approx(len(IDS) / (total + 1), rel=TOLERANCE)


@pytest.mark.parametrize("total", range(2, MOST + 1))
def test_organizations_are_spread_evenly(total: int) -> None:
    """No shard has much more to do than another."""
    counts = Counter(owner_of_each(total))
    assert len(counts) == total
    for count in counts.values():
        assert count == pytest.approx(len(IDS) / total, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("org_id", "expected"),
    [
        ("3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01", [0, 0, 0, 12, 614]),
        ("acme", [0, 0, 3, 7, 905]),
        ("org-1", [1, 2, 2, 5, 53]),
        ("Ä ö", [0, 2, 3, 11, 875]),
    ],
)
def test_the_shard_of_an_organization_never_changes(org_id: str, expected: list[int]) -> None:
    """From release to release: another rule would move nearly all, and begin their counters anew.

    Do not update these numbers.
    """
    assert [owners(org_id, total) for total in (2, 3, 5, 16, 1000)] == [[each] for each in expected]


# --- The configuration ---


@given(st.sets(st.text()), st.integers(1, 20), st.integers(1, 10_000))
def test_the_parts_together_are_the_whole(org_ids: set[str], total: int, limit: int) -> None:
    """Each organization once, in the file's order, and no more requests than the ceiling."""
    whole = config(*map(organization, sorted(org_ids)), api=ApiConfig(max_requests_per_day=limit))
    parts = [Shard(ordinal, total).part_of(whole) for ordinal in range(total)]
    assert sorted(
        (each for part in parts for each in part.organizations), key=lambda each: each.id
    ) == list(whole.organizations)
    for part in parts:
        assert list(part.organizations) == sorted(part.organizations, key=lambda each: each.id)
    limits = [part.api.max_requests_per_day or 0 for part in parts]
    assert limit - total < sum(limits) <= limit
    assert len(set(limits)) == 1


def test_the_only_shard_has_all_of_the_configuration() -> None:
    """Without sharding nothing changes; without a ceiling there is none to divide."""
    whole = config(*map(organization, "abc"))
    assert Shard().part_of(whole) == whole
    assert Shard(1, 2).part_of(whole).api == whole.api


def test_a_ceiling_that_leaves_a_shard_no_request_is_refused(tmp_path: Path) -> None:
    """With its line and what it has to be; one for each shard is enough."""
    file = tmp_path / "exporter.yml"
    file.write_text(
        "api: {max_requests_per_day: 3}\n"
        "credentials: {api_key_id: id, api_key: key}\n"
        "organizations: [{id: acme}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(file, {}, (), storage=True, shards=4)
    assert str(caught.value) == (
        f"{file}:1: api.max_requests_per_day: must be at least 4: "
        "it is divided among --total-shards=4"
    )
    assert load(file, {}, (), storage=True, shards=3).api.max_requests_per_day == 3


# --- The flags ---


@pytest.mark.parametrize(
    ("ordinal", "total", "pod_name", "host_name", "expected"),
    [
        (None, 1, "", "laptop", Shard()),
        (None, 1, "viam-3", "viam-2", Shard()),
        (0, 1, "", "laptop", Shard()),
        (2, 3, "viam-1", "viam-0", Shard(2, 3)),
        (0, 3, "viam-1", "viam-1", Shard(0, 3)),
        (None, 3, "viam-billing-2", "viam-1", Shard(2, 3)),
        (None, 3, "", "viam-billing-1", Shard(1, 3)),
        (None, 12, "", "viam-11", Shard(11, 12)),
    ],
)
def test_the_shard_comes_from_the_flag_or_else_from_a_name(
    ordinal: int | None, total: int, pod_name: str, host_name: str, expected: Shard
) -> None:
    """--shard before POD_NAME before the host name, and no name without --total-shards."""
    assert choose(ordinal, total, pod_name=pod_name, host_name=host_name) == expected


@pytest.mark.parametrize(
    ("ordinal", "total", "pod_name", "host_name", "message"),
    [
        (1, 1, "", "laptop", "--shard=1 needs --total-shards, the number of shards"),
        (3, 3, "", "laptop", "--shard=3 is out of range: with --total-shards=3, shards are 0 to 2"),
        (
            None,
            3,
            "viam-3",
            "viam-0",
            "POD_NAME 'viam-3' is out of range: with --total-shards=3, shards are 0 to 2",
        ),
        (
            None,
            3,
            "",
            "viam-7",
            "the host name 'viam-7' is out of range: with --total-shards=3, shards are 0 to 2",
        ),
        *(
            (
                None,
                3,
                name,
                "viam-0",
                f"{NO_NUMBER}: POD_NAME {name!r} has none",
            )
            for name in ("viam", "viam-", "viam1", "viam-x1", "viam-1.svc", "viam-²", "-1\n", "1")
        ),
        (
            None,
            3,
            "",
            "laptop",
            f"{NO_NUMBER}: the host name 'laptop' has none",
        ),
    ],
)
def test_a_shard_that_cannot_be_is_told(
    ordinal: int | None, total: int, pod_name: str, host_name: str, message: str
) -> None:
    """With what was looked at, and what to do."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        choose(ordinal, total, pod_name=pod_name, host_name=host_name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        *(
            ([f"--total-shards={text}"], "--total-shards: must be a whole number from 1 to 1000")
            for text in ("0", "-1", "1001", "three", "", "1.5", "²", "9" * 5000)
        ),
        *(
            ([f"--shard={text}"], "--shard: must be a whole number from 0 to 999")
            for text in ("-1", "1000", "first", "")
        ),
        (["--shard", "-1"], "--shard: must be a whole number from 0 to 999"),
        (["--shard=1"], "--shard=1 needs --total-shards"),
        (["--total-shards=2", "--shard=2"], "--shard=2 is out of range"),
        (["--total-shards=2", "--demo"], "POD_NAME 'viam-2' is out of range"),
    ],
)
def test_wrong_flags_are_wrong_usage(
    flags: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, before anything is read or served."""
    monkeypatch.setenv("POD_NAME", "viam-2")
    with pytest.raises(SystemExit) as caught:
        cli.main(flags)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
