"""What is warned of at the start, and what is dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from exporter.config import Config
from exporter.model import ApiKey, Organization, Secret
from exporter.process import privileges
from exporter.process.privileges import Reader

ROOT, SOMEBODY = 0, 1000
KEY = "sesame"
INLINE = ApiKey("id", secret=Secret(KEY))


def config(*keys: ApiKey, default: ApiKey | None = None) -> Config:
    """Return a configuration with an organization for each key."""
    organizations = tuple(
        Organization(f"org-{number}", "name", key, interval=60, max_age=240)
        for number, key in enumerate(keys)
    )
    return Config(organizations=organizations, credentials=default)


def file(path: Path, mode: int, text: str = KEY) -> Path:
    """Write a file that is open to whom `mode` says."""
    path.write_text(text)
    path.chmod(mode)
    return path


def warnings(config: Config, path: Path, user: int = SOMEBODY) -> list[str]:
    """Return what is warned of, with the name of the file."""
    with structlog.testing.capture_logs() as entries:
        privileges.warn(config, path, Reader(user))
    assert all(entry["log_level"] == "warning" for entry in entries)
    assert KEY not in str(entries)
    return [f"{Path(entry.get('file', '')).name}: {entry['event']}" for entry in entries]


def test_root_is_warned_of_and_nobody_else(tmp_path: Path) -> None:
    """Whoever breaks into the process would have the machine."""
    (warning,) = warnings(config(INLINE), tmp_path / "none.yml", ROOT)
    assert "running as root" in warning
    assert not warnings(config(INLINE), tmp_path / "none.yml", SOMEBODY)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o440])
def test_a_key_file_that_others_can_read_is_named(tmp_path: Path, mode: int) -> None:
    """Whether the group or everybody."""
    key = ApiKey("id", file=file(tmp_path / "key", mode))
    (warning,) = warnings(config(key), tmp_path / "none.yml")
    assert warning == (
        "key: other users can read a key file: chmod 0600 if this user owns it, else chmod 0640 "
        "with a group of this user"
    )


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o711, 0o622])
def test_a_key_file_that_only_its_owner_can_read_is_right(tmp_path: Path, mode: int) -> None:
    """To write or to enter is not to read."""
    key = ApiKey("id", file=file(tmp_path / "key", mode))
    assert not warnings(config(key), tmp_path / "none.yml")


@pytest.mark.parametrize(("mode", "warned"), [(0o440, False), (0o640, False), (0o444, True)])
def test_a_file_that_is_read_by_way_of_its_group_is_right(
    tmp_path: Path, mode: int, *, warned: bool
) -> None:
    """Where it is somebody else's: as Kubernetes hands over a Secret, and Debian's packages do."""
    key = ApiKey("id", file=file(tmp_path / "key", mode))
    owner = (tmp_path / "key").stat()
    for groups, user in (({owner.st_gid}, owner.st_uid + 1), ({owner.st_gid}, owner.st_uid)):
        with structlog.testing.capture_logs() as entries:
            privileges.warn(config(key), tmp_path / "none.yml", Reader(user, groups))
        others = [entry for entry in entries if "other users" in entry["event"]]
        assert bool(others) is (warned or user == owner.st_uid)


@pytest.mark.parametrize(("mode", "warned"), [(0o640, False), (0o644, True)])
def test_root_may_look_at_what_is_for_a_service_s_group(
    tmp_path: Path, mode: int, *, warned: bool
) -> None:
    """As with `sudo viam-billing check` and Debian's package: with 0600 the service could not."""
    key = ApiKey("id", file=file(tmp_path / "key", mode))
    another = (tmp_path / "key").stat().st_gid + 1
    with structlog.testing.capture_logs() as entries:
        privileges.warn(config(key), tmp_path / "none.yml", Reader(ROOT, {another}))
    assert any("other users" in entry["event"] for entry in entries) is warned


def test_what_systemd_hands_over_is_for_this_service_alone(tmp_path: Path) -> None:
    """Its access control list for the service's user looks like a right of the group."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    given = ApiKey("a", file=file(folder / "key", 0o440))
    other = ApiKey("b", file=file(tmp_path / "other", 0o440))
    with structlog.testing.capture_logs() as entries:
        reader = Reader(SOMEBODY, credentials=str(folder))
        privileges.warn(config(given, other), tmp_path / "none.yml", reader)
    assert [entry["file"] for entry in entries] == [str(other.file)]


def test_each_key_file_is_warned_of_once(tmp_path: Path) -> None:
    """However many organizations use it, and the default credentials, too."""
    first = ApiKey("a", file=file(tmp_path / "first", 0o644))
    second = ApiKey("b", file=file(tmp_path / "second", 0o644))
    both = config(first, replace(first, id="c"), first, default=second)
    assert [line.split(":")[0] for line in warnings(both, tmp_path / "none.yml")] == [
        "first",
        "second",
    ]


def test_a_key_file_that_is_gone_is_the_poll_s_concern(tmp_path: Path) -> None:
    """It was there a moment ago, and may come back."""
    assert not warnings(config(ApiKey("id", file=tmp_path / "gone")), tmp_path / "none.yml")


def test_a_configuration_with_a_key_in_it_must_not_be_open(tmp_path: Path) -> None:
    """Closed it may hold one."""
    path = file(tmp_path / "exporter.yml", 0o644, f"api_key: {KEY}\n")
    (warning,) = warnings(config(INLINE), path)
    assert warning.startswith("exporter.yml: other users can read the keys")
    path.chmod(0o600)
    assert not warnings(config(INLINE), path)


def test_a_configuration_without_keys_may_be_open(tmp_path: Path) -> None:
    """The key comes from the environment then: the file has its name only."""
    path = file(tmp_path / "exporter.yml", 0o644, "api_key: ${VIAM_API_KEY}\n")
    assert not warnings(config(INLINE), path)


def test_without_tracing_the_process_goes_on() -> None:
    """It begins anew only if the variable was set; see tests/integration/test_canaries.py."""
    environ = {"GRPC_VERBOSITY": "debug"}
    privileges.start_without_tracing(environ)
    assert environ == {"GRPC_VERBOSITY": "debug"}
