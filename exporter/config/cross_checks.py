"""The rules between keys, and between a key and the file that it names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from exporter.base.address import Address
from exporter.config.certificates import read_certificates
from exporter.config.fields import Report
from exporter.config.schema import (
    ApiConfig,
    CollectorsConfig,
    ConfigFile,
    CredentialsConfig,
    OrganizationEntry,
    PollConfig,
)
from exporter.config.sections import keys_of
from exporter.config.values import read_key_file
from exporter.config.yaml_nodes import KeyPath

MIN_MAX_AGE_INTERVALS = 2  # with less, one late poll would withdraw good data


def check(file: ConfigFile, report: Report, *, storage: bool, shards: int) -> None:
    """Report every rule that the valid fields of `file` break."""
    _check_api(file.api, report, storage=storage, shards=shards)
    _check_poll(file.poll, report)
    if not any(file.collectors.plain().values()) and report.sound(("collectors",)):
        names = ", ".join(keys_of(CollectorsConfig))
        report.add(("collectors",), f"must leave at least one collector on: {names}")
    _check_there_is_something(file, report)
    key_file_rule = cache(_key_file_rule)  # thousands of organizations may name the same file
    if file.credentials is not None:
        _check_credentials(file.credentials, ("credentials",), report, key_file_rule)
    first_with_id: dict[str, int] = {}
    for index, entry in enumerate(file.organizations):
        path = ("organizations", index)
        _check_poll_interval(entry, path, report, file.poll.max_age)
        if entry.credentials is not None:
            _check_credentials(entry.credentials, (*path, "credentials"), report, key_file_rule)
        elif file.credentials is None and report.sound((*path, "credentials"), ("credentials",)):
            report.add(
                (*path, "credentials"),
                "is required, here or, for all organizations, at the top level",
            )
        if report.sound((*path, "id")):
            first = first_with_id.setdefault(entry.id, index)
            if first != index:
                report.add((*path, "id"), f"is also the id of organizations[{first}]: keep one")


def _check_there_is_something(file: ConfigFile, report: Report) -> None:
    if not file.discovery.enabled:
        if not file.organizations and report.sound(("organizations",)):
            report.add(("organizations",), "must list at least one organization, by its id")
    elif (
        not file.credentials
        and not any(entry.credentials for entry in file.organizations)
        and report.sound(("credentials",), ("organizations",))
    ):
        report.add(
            ("discovery", "enabled"),
            "needs credentials, at the top level or of an organization",
        )


def _check_api(api: ApiConfig, report: Report, *, storage: bool, shards: int) -> None:
    if (
        not (api.tls or api.insecure)
        and report.sound(("api", "address"), ("api", "tls"), ("api", "insecure"))
        and not Address.parse(api.address).is_loopback
    ):
        report.add(
            ("api", "tls"),
            "must not be false, or API keys travel in plain text: use TLS, or set "
            "api.insecure: true",
        )
    if api.ca_file is not None:
        try:
            read_certificates(api.ca_file)
        except ValueError as error:
            report.add(("api", "ca_file"), str(error))
    if api.max_requests_per_day is not None and not storage:
        report.add(
            ("api", "max_requests_per_day"),
            "needs --storage.path: a restart would forget the requests of the day",
        )
    if api.max_requests_per_day is not None and api.max_requests_per_day < shards:
        report.add(
            ("api", "max_requests_per_day"),
            f"must be at least {shards}: it is divided among --total-shards={shards}",
        )


def _check_poll(poll: PollConfig, report: Report) -> None:
    if (
        poll.max_age is not None
        and report.sound(("poll", "interval"), ("poll", "max_age"))
        and poll.max_age < MIN_MAX_AGE_INTERVALS * poll.interval
    ):
        report.add(("poll", "max_age"), "must be at least twice poll.interval")


def _check_poll_interval(
    entry: OrganizationEntry, path: KeyPath, report: Report, max_age: float | None
) -> None:
    if (
        entry.poll_interval is not None
        and max_age is not None
        and report.sound((*path, "poll_interval"), ("poll", "max_age"))
        and max_age < MIN_MAX_AGE_INTERVALS * entry.poll_interval
    ):
        report.add((*path, "poll_interval"), "must be at most half of poll.max_age")


def _check_credentials(
    credentials: CredentialsConfig,
    path: KeyPath,
    report: Report,
    key_file_rule: Callable[[Path], str | None],
) -> None:
    """Check that there is one form of the id and of the key; one that is not valid counts."""
    for value in ("api_key_id", "api_key"):
        file = f"{value}_file"
        given = credentials.given & {value, file}
        if len(given) > 1:
            report.add(path, f"must not have both {value} and {file}: keep one")
        elif not given and report.sound(path):
            report.add(path, f"must have {value} or {file}")
        named: Path | None = getattr(credentials, file)
        if named is not None and (rule := key_file_rule(named)):
            report.add((*path, file), rule)


def _key_file_rule(path: Path) -> str | None:
    """Return the rule that the content of a file breaks that holds a key or its id, if any."""
    try:
        read_key_file(path)
    except ValueError as error:
        return str(error)
    return None
