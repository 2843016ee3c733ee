"""The image, run: the demo, and a configuration in a container that can write nowhere else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from support.container import ENVIRON, USER, Image, innermost, sealed
from support.namespace import namespace
from support.process import TOOL, Process, parse, running, until

# The image has to be built first.
pytestmark = pytest.mark.timeout(600)

STORAGE: Final = "viam_billing_exporter_storage_"
STORED: Final = f"{STORAGE}last_write_successful"
ADDRESS: Final = "http://127.0.0.1:8426"  # of the health check too


@pytest.fixture
def enter(tmp_path: Path) -> Iterator[Sequence[str]]:
    """Have a network in which the ports that programs have by default are free."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    with namespace(hosts) as prefix:
        yield prefix


def fetch(enter: Sequence[str], path: str) -> str:
    """Return a page of the exporter; it is empty while there is none."""
    command = [*enter, "curl", "--silent", "--fail", f"{ADDRESS}{path}"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def is_healthy(enter: Sequence[str], image: Image, working: str) -> bool:
    """Run the image's health check in the container."""
    _, *command = image.config["Healthcheck"]["Test"]
    run = subprocess.run(
        [*enter, "buildah", "run", working, "--", *command],
        env={**os.environ, **ENVIRON},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode in {0, 1}, run.stderr
    return run.returncode == 0


def about(process: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def stop(process: Process) -> int:
    """Stop the exporter, as `docker stop` does, and return the exit code of what ran it."""
    os.kill(innermost(process), signal.SIGTERM)
    return process.wait()


def test_the_demo_runs_is_healthy_and_stops(
    image: Image, working: str, enter: Sequence[str]
) -> None:
    """As the user of the image, with nothing else than `--demo`."""
    assert not is_healthy(enter, image, working)
    demo = ("buildah", "run", working, "--", *image.command, "--demo")
    with running(*enter, *demo, environ=ENVIRON) as process:
        process.stdout.wait_for("Stop with Ctrl-C")
        until(lambda: fetch(enter, "/-/ready"), "the exporter is ready")
        page = parse(fetch(enter, "/metrics"))
        assert len([1 for metric, _ in page if metric == "viam_billing_up"]) == 8
        assert is_healthy(enter, image, working)
        assert page[STORED, frozenset()] == 1, "in the container, where there is no volume"
        assert about(innermost(process))["Uid"].split() == [str(USER)] * 4
        assert stop(process) == 0


def test_it_runs_where_it_can_write_nowhere_but_to_its_storage(
    image: Image, working: str, enter: Sequence[str], tmp_path: Path
) -> None:
    """As process 1, without any right, on a root file system that is read-only.

    Nothing has to be said: the configuration is where it looks, and a volume where it stores.
    """
    etc, data = tmp_path / "etc", tmp_path / "data"
    etc.mkdir()
    data.mkdir(mode=0o700)
    volumes = (f"{etc}:/etc/viam-billing-exporter", f"{data}:/data")
    out = f"--config-out={etc}/exporter.yml"
    with running(*enter, *TOOL, "simulate", "--organizations=2", out) as service:
        service.stderr.wait_for("simulating")
        for file in (etc / "exporter.yml", data):
            shutil.chown(file, USER, USER)
        with sealed(enter, image, working, volumes=volumes) as process:
            process.stderr.wait_for("msg=serving")
            until(lambda: fetch(enter, "/-/ready"), "the exporter is ready")
            page = parse(fetch(enter, "/metrics"))
            assert [up for (metric, _), up in page.items() if metric == "viam_billing_up"] == [1, 1]
            exporter = innermost(process)
            status = about(exporter)
            assert status["NSpid"].split()[-1] == "1"
            assert (status["Uid"].split(), status["Gid"].split()) == ([str(USER)] * 4,) * 2
            assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")
            mounts = Path(f"/proc/{exporter}/mounts").read_text().splitlines()
            (options,) = (o for _, place, _, o, *_ in map(str.split, mounts) if place == "/")
            assert options.split(",")[0] == "ro"
            assert stop(process) == 0
    stored = [*data.iterdir()]
    assert stored
    assert {file.stat().st_uid for file in stored} == {USER}


def test_the_health_check_finds_where_it_listens_and_sees_that_it_hangs(
    image: Image, working: str, enter: Sequence[str]
) -> None:
    """By the command of process 1, whatever address and flags that was given."""
    flags = ("--demo", "--web.listen-address=127.0.0.1:8427", "--web.listen-address", "[::1]:9000")
    with sealed(enter, image, working, *flags, volumes=()) as process:
        process.stdout.wait_for("Stop with Ctrl-C")
        exporter = innermost(process)
        inside = ("nsenter", f"--target={exporter}", "--mount", "--pid", "--net", "--root", "--wd")
        _, *command = image.config["Healthcheck"]["Test"]

        def check() -> subprocess.CompletedProcess[str]:
            return subprocess.run([*inside, *command], check=False, capture_output=True, text=True)

        run = check()
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        os.kill(exporter, signal.SIGSTOP)
        run = check()
        os.kill(exporter, signal.SIGCONT)
        assert (run.returncode, run.stdout) == (1, "no answer within 4 s\n")
        assert stop(process) == 0


def test_where_it_cannot_store_it_says_so_and_serves(
    image: Image, working: str, enter: Sequence[str]
) -> None:
    """On a root file system that is read-only, without a volume."""
    with sealed(enter, image, working, "--demo", volumes=()) as process:
        process.stdout.wait_for("Stop with Ctrl-C")
        until(lambda: fetch(enter, "/-/ready"), "the exporter is ready")
        page = parse(fetch(enter, "/metrics"))
        assert page[STORED, frozenset()] == 0
        (line,) = (line for line in process.stderr.text.splitlines() if "level=error" in line)
        assert "cannot use the storage folder /data: Read-only file system" in line
        assert stop(process) == 0


def test_it_stores_nothing_where_it_is_told_so(
    image: Image, working: str, enter: Sequence[str]
) -> None:
    """The flag that is given comes after the image's own."""
    flags = ("--demo", "--storage.path=")
    with sealed(enter, image, working, *flags, volumes=()) as process:
        process.stdout.wait_for("Stop with Ctrl-C")
        page = parse(fetch(enter, "/metrics"))
        assert not [metric for metric, _ in page if metric.startswith(STORAGE)]
        assert "level=error" not in process.stderr.text
        assert stop(process) == 0


def test_a_check_needs_no_storage(
    image: Image, working: str, enter: Sequence[str], tmp_path: Path
) -> None:
    """Of a configuration with a ceiling, which needs some; nothing is opened."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "exporter.yml").write_text(
        "{organizations: [{id: a}], credentials: {api_key_id: b, api_key: c},"
        " api: {max_requests_per_day: 1000}}"
    )
    volumes = (f"{etc}:/etc/viam-billing-exporter",)
    with sealed(enter, image, working, "--config.check", volumes=volumes) as process:
        assert process.wait() == 0
        assert "the configuration is valid" in process.stdout.text


def test_without_a_configuration_it_says_how_to_give_one(image: Image, working: str) -> None:
    """A container that is only started ends with the three ways in."""
    with running("buildah", "run", working, "--", *image.command, environ=ENVIRON) as process:
        assert process.wait() == 1
    for way in ("--config.file", "VIAM_API_KEY_ID", "--demo"):
        assert way in process.stderr.text
