"""Several exporters that share a configuration, as processes."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

from exporter.polling.sharding import Shard
from exporter.state.storage import Storage
from integration.test_exporter_process import ACCOUNTS, configuration, run, simulator, up, write
from support.process import exporter, free_port, get, parse, succeeds, until

TOTAL = 3
IDS = [account.id for account in ACCOUNTS]
# The only company of the last shard stands third: of the first two it has none.
LAST, THIRD = Shard(2, TOTAL), IDS[2]


def test_three_shards_have_every_organization_between_them(tmp_path: Path) -> None:
    """Each once, whole, and with a third of the ceiling; the pod's name says which shard."""
    port = free_port()
    document = configuration(port, len(ACCOUNTS))
    document["api"]["max_requests_per_day"] = 3002  # type: ignore[index]
    file = write(tmp_path, document)
    with simulator(port), ExitStack() as stack:
        shards = [
            stack.enter_context(
                exporter(
                    f"--config.file={file}",
                    f"--storage.path={tmp_path / str(ordinal)}",
                    f"--total-shards={TOTAL}",
                    environ={"POD_NAME": f"viam-billing-{ordinal}"},
                )
            )
            for ordinal in range(TOTAL)
        ]
        polled = []
        for ordinal, it in enumerate(shards):
            it.wait_until_ready()
            page = parse(it.scrape())
            for name, value in {
                "shard_ordinal": ordinal,
                "total_shards": TOTAL,
                "api_requests_limit": 1000,
                "organizations": len(up(it)),
            }.items():
                assert page[f"viam_billing_exporter_{name}", frozenset()] == value
            assert set(up(it).values()) == {1.0}
            polled.append(set(up(it)))
        assert set().union(*polled) == set(IDS)
        assert not any(one & other for one, other in combinations(polled, 2))
        (whole,) = {get(it.port, "/config").text for it in shards}
        assert "max_requests_per_day: 3002" in whole
        assert all(f"id: {org_id}\n" in whole for org_id in IDS)


def test_a_shard_without_organizations_serves_and_a_reload_keeps_it_the_same_shard(
    tmp_path: Path,
) -> None:
    """It is ready, has its own metrics, and polls what a reload brings it, and nothing else."""
    port = free_port()
    file = write(tmp_path, configuration(port, 2))
    assert not any(map(LAST.owns, IDS[:2]))
    flags = (f"--config.file={file}", f"--shard={LAST.ordinal}", f"--total-shards={LAST.total}")
    with simulator(port), exporter(*flags) as it:
        it.wait_until_ready()
        assert up(it) == {}
        assert "\nviam_billing_exporter_organizations 0.0\n" in it.scrape()
        assert succeeds(it.port, "/")

        write(tmp_path, configuration(port, len(ACCOUNTS)))
        it.process.send(signal.SIGHUP)
        until(lambda: up(it) == {THIRD: 1.0}, "its organization is polled")
        assert "\nviam_billing_exporter_organizations 1.0\n" in it.scrape()
        assert f"\nviam_billing_exporter_shard_ordinal {LAST.ordinal}.0\n" in it.scrape()

        write(tmp_path, configuration(port, 2))
        it.process.send(signal.SIGHUP)
        until(lambda: THIRD not in it.scrape(), "it has left")
        assert succeeds(it.port, "/-/ready")


def test_the_only_exporter_says_nothing_of_shards(tmp_path: Path) -> None:
    """Nor does a number in a name make it one of several."""
    file = write(tmp_path, configuration(free_port(), 2))
    with exporter(f"--config.file={file}", environ={"POD_NAME": "viam-billing-7"}) as it:
        assert "shard" not in it.scrape()
        assert "organizations=2" in it.process.stderr.wait_for("msg=serving").string


def test_a_part_of_the_demo() -> None:
    """It takes the same flags, and says how many organizations it shows."""
    with exporter("--demo", f"--shard={LAST.ordinal}", f"--total-shards={LAST.total}") as it:
        it.wait_until_ready()
        assert up(it) == {THIRD: 1.0}
        assert "serving simulated bills for 1 organization\n" in it.process.stdout.text


def test_a_ceiling_with_less_than_a_request_for_each_shard_ends_the_start(tmp_path: Path) -> None:
    """Exit code 1, as for every other error of the configuration."""
    document = configuration(free_port())
    document["api"]["max_requests_per_day"] = 2  # type: ignore[index]
    file = write(tmp_path, document)
    storage = f"--storage.path={tmp_path / 'state'}"
    ended = run(f"--config.file={file}", storage, "--shard=0", f"--total-shards={TOTAL}")
    assert ended.returncode == 1
    assert "api.max_requests_per_day: must be at least 3" in ended.stderr


def test_what_moved_to_another_shard_is_forgotten_at_once(tmp_path: Path) -> None:
    """Its spend counts there now: should it come back, going on would count it twice."""
    port = free_port()
    file = write(tmp_path, configuration(port, len(ACCOUNTS)))
    storage = tmp_path / "state"
    with simulator(port):
        for flags in ([], [f"--total-shards={TOTAL}", f"--shard={LAST.ordinal}"]):
            with exporter(f"--config.file={file}", f"--storage.path={storage}", *flags) as it:
                it.wait_until_ready()
    after = Storage(storage)
    assert set(after.read().organizations) == {org_id for org_id in IDS if LAST.owns(org_id)}
    after.close()
