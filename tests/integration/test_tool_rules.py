"""`viam-billing rules`: the files for Prometheus and Alertmanager, as a process."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
import yaml

from generate.rules import ALERTMANAGER, RULES
from support.process import TOOL, free_port, running, serving, succeeds, until
from support.standing import command

FILES: Final = ("viam-billing.rules.yml", "viam-billing.alerts.yml")
DUE_SOON: Final = "ViamBillingInvoiceDueSoon"


def run(folder: Path, *arguments: str) -> str:
    """Run the command in a folder, which it must do without a complaint, and return its output."""
    done = command("rules", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(folder: Path, *arguments: str, code: int = 1) -> str:
    """Run the command, which must fail without a word about success, and return what it says."""
    done = command("rules", *arguments, folder=folder)
    assert (done.returncode, done.stdout) == (code, "")
    return done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files of a folder, by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rules(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the rules of the files in a folder, by name."""
    for name in FILES:
        for group in yaml.safe_load((folder / name).read_text())["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule


def succeed(*words: str | Path) -> None:
    """Run another program. Fails with what it says if it does."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_writes_what_the_repository_has(tmp_path: Path) -> None:
    """A checkout and the package give the same rules."""
    run(tmp_path, "--alertmanager")
    ours = {name: (RULES / name).read_bytes() for name in FILES}
    for name in ("alertmanager.yml", "templates/viam-billing.tmpl"):
        text = (ALERTMANAGER / name).read_text()
        there = text.replace("/etc/alertmanager", str(tmp_path / "rules" / "alertmanager"))
        ours[f"alertmanager/{name}"] = there.encode()
    assert contents(tmp_path / "rules") == ours


class Slack(BaseHTTPRequestHandler):
    """Notes what it is sent."""

    posts: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        """Take a message."""
        self.posts.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.usefixtures("stack")
def test_a_message_arrives_wherever_alertmanager_was_started(tmp_path: Path) -> None:
    """The secret is found by its path, in a folder whose name YAML must quote."""
    folder = tmp_path / "a folder: mine"
    run(tmp_path, f"--dest={folder}", "--alertmanager")
    there = folder / "alertmanager"
    (there / "secrets").mkdir()
    port, alert = free_port(), ("alertname=Test", "severity=warning", "area=polling")
    url = f"http://127.0.0.1:{port}"
    Slack.posts.clear()
    with serving(Slack) as slack:
        (there / "secrets" / "slack-url").write_text(f"http://127.0.0.1:{slack}/hook\n")
        written = (there / "alertmanager.yml").read_text()
        (there / "alertmanager.yml").write_text(
            written.replace("group_wait: 30s", "group_wait: 0s")
        )
        with running(
            "prometheus-alertmanager",
            f"--config.file={there / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ):
            until(lambda: succeeds(port, "/-/ready"), "Alertmanager is ready")
            succeed("amtool", f"--alertmanager.url={url}", "alert", "add", *alert)
            until(lambda: bool(Slack.posts), "the message arrived")
    assert b"Test" in Slack.posts[0]


@pytest.mark.usefixtures("stack")
def test_prometheus_and_alertmanager_take_the_files(tmp_path: Path) -> None:
    """The rules by the very lines that are printed, from a folder whose name YAML must quote."""
    folder = tmp_path / "a folder: mine"
    printed = run(tmp_path, f"--dest={folder}", "--alertmanager")
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(printed[printed.index("rule_files:") :])
    done = subprocess.run(
        ["promtool", "check", "config", configuration], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(FILES)
    (job,) = yaml.safe_load(configuration.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["localhost:8426"]}]
    succeed(
        "promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(folder.joinpath, FILES)
    )
    succeed("amtool", "check-config", folder / "alertmanager" / "alertmanager.yml")


@pytest.mark.parametrize(
    ("flags", "links"),
    [
        ((), set()),
        (("--runbooks=", "--dashboards="), set()),
        (("--runbooks=https://wiki.example.com/p?page=1",), {"runbook_url"}),
        (("--dashboards=http://localhost:3000/grafana/",), {"dashboard_url"}),
    ],
)
def test_an_alert_links_only_to_what_has_an_address(
    flags: tuple[str, ...], links: set[str], tmp_path: Path
) -> None:
    """And says what lacks one."""
    printed = run(tmp_path, *flags)
    for missing in {"runbook_url", "dashboard_url"} - links:
        assert f"with --{missing.partition('_')[0]}s." in printed
    for name, rule in rules(tmp_path / "rules"):
        if "alert" in rule:
            assert set(rule["annotations"]) == {"title", "summary", "description"} | links
            if "runbook_url" in links:
                url = f"https://wiki.example.com/p?page=1#{name.lower()}"
                assert rule["annotations"]["runbook_url"] == url
            if "dashboard_url" in links:
                url = rule["annotations"]["dashboard_url"]
                assert url.startswith("http://localhost:3000/grafana/d/viam-billing-")


@pytest.mark.parametrize(
    "flag",
    [
        "--runbooks=wiki.example.com",
        "--runbooks=ftp://wiki.example.com",
        "--runbooks=https://",
        "--runbooks=https://me:secret@wiki.example.com",
        "--runbooks=https://wiki.example.com/page#top",
        "--runbooks=https://wiki.example.com/{{ $labels.org_id }}",
        "--runbooks=https://wiki.example.com/caf\xe9",
        "--dashboards=localhost:3000",
        "--dashboards=http://localhost:3000/?orgId=1",
        "--dashboards=http://localhost:3000/{{.}}",
        "--dest=",
        "--settings=",
    ],
)
def test_an_address_that_would_break_the_links_is_wrong_usage(flag: str, tmp_path: Path) -> None:
    """It is told with its flag, and nothing is written."""
    assert f"argument {flag.partition('=')[0]}: must " in refused(tmp_path, flag, code=2)
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("stack")
def test_settings_change_what_they_name(tmp_path: Path) -> None:
    """Severity, time and threshold; the other rules are as they were."""
    (tmp_path / "settings.yml").write_text(
        f"thresholds: {{due_soon: 8d}}\nalerts: {{{DUE_SOON}: {{for: 2h, severity: critical}}}}\n"
    )
    run(tmp_path)
    run(tmp_path, "--dest=own", "--settings=settings.yml")
    ours, own = list(rules(tmp_path / "rules")), list(rules(tmp_path / "own"))
    assert [name for name, _ in own] == [name for name, _ in ours]
    differing = [(a, b) for (_, a), (_, b) in zip(ours, own, strict=True) if a != b]
    for before, after in differing:
        assert (after["alert"], after["for"]) == (DUE_SOON, "2h")
        assert after["expr"] != before["expr"]
    # The second one is what is told while payment is automatic: `mitigated` in the settings.
    assert [after["labels"]["severity"] for _, after in differing] == ["critical", "info"]
    succeed("promtool", "check", "rules", *(tmp_path / "own" / name for name in FILES))


def test_settings_that_are_wrong_write_nothing(tmp_path: Path) -> None:
    """Each mistake is a line of its own, the first word of which is the file."""
    (tmp_path / "settings.yml").write_text("interval: 1\nthresholds: {due_soon: soon}\n")
    told = refused(tmp_path, "--settings=settings.yml").splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["settings.yml:1", "interval"],
        ["settings.yml:2", "thresholds.due_soon"],
    ]
    assert set(contents(tmp_path)) == {"settings.yml"}


def test_a_fifo_in_place_of_settings_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write into it."""
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path, "--settings=fifo") == "fifo: must be a regular file\n"


def test_rules_are_replaced_and_what_is_the_same_is_left(tmp_path: Path) -> None:
    """As after an upgrade."""
    run(tmp_path)
    first, second = (tmp_path / "rules" / name for name in FILES)
    before = second.stat().st_ino
    first.write_text("groups: []\n")
    printed = run(tmp_path).splitlines()
    assert printed[:2] == [f"wrote rules/{first.name}", f"unchanged rules/{second.name}"]
    assert first.read_text() != "groups: []\n"
    assert second.stat().st_ino == before


def test_a_configuration_that_somebody_edited_is_left_alone(tmp_path: Path) -> None:
    """The new one stands beside it, each time."""
    run(tmp_path, "--alertmanager")
    file = tmp_path / "rules" / "alertmanager" / "alertmanager.yml"
    ours = file.read_bytes()
    file.write_text("receivers: [{name: us}]\n")
    for _ in range(2):
        printed = run(tmp_path, "--alertmanager")
        assert f"left alone {file.relative_to(tmp_path)}, which differs from the new one" in printed
        assert file.read_text() == "receivers: [{name: us}]\n"
        assert file.with_name("alertmanager.yml.new").read_bytes() == ours
        file.with_name("alertmanager.yml.new").write_text("old")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_have_the_mode_that_the_umask_allows(umask: int, mode: int, tmp_path: Path) -> None:
    """Prometheus, another user, is to read them; unlike invoices, they are nobody's secret."""
    subprocess.run([*TOOL, "rules"], cwd=tmp_path, umask=umask, check=True, capture_output=True)
    for name in FILES:
        assert (tmp_path / "rules" / name).stat().st_mode & 0o777 == mode
    assert (tmp_path / "rules").stat().st_mode & 0o777 == 0o777 & ~umask


def test_what_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """A file in place of the folder, a folder or a link in place of a file, another command."""
    (tmp_path / "file").touch()
    assert refused(tmp_path, "--dest=file") == "viam-billing: file: it is not a folder\n"
    taken = f"rules/{FILES[0]}: what has its name is not a file\n"
    (tmp_path / "rules" / FILES[0]).mkdir(parents=True)
    assert refused(tmp_path) == f"viam-billing: {taken}"
    (tmp_path / "rules" / FILES[0]).rmdir()
    (tmp_path / "rules" / FILES[0]).symlink_to(tmp_path / "file")
    assert refused(tmp_path) == f"viam-billing: {taken}"
    assert (tmp_path / "file").read_bytes() == b""
    descriptor = os.open(tmp_path / "rules", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert refused(tmp_path) == "viam-billing: rules: another command writes to it\n"
    finally:
        os.close(descriptor)


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    """A full disk leaves the old rules, which Prometheus may read at any moment."""
    run(tmp_path)
    (tmp_path / "rules" / FILES[0]).write_text("groups: []\n")
    before = contents(tmp_path)
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *TOOL, "rules"]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"viam-billing: rules/{FILES[0]}: File too large\n"
    assert contents(tmp_path) == before
