"""From a file to a `Config`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from exporter.base import files
from exporter.config.cross_checks import check
from exporter.config.effective import Config
from exporter.config.fields import Report, read
from exporter.config.problem import ConfigError, Problem
from exporter.config.schema import ConfigFile, CredentialsConfig
from exporter.config.sections import Context
from exporter.config.yaml_nodes import parse
from exporter.model import ApiKey, Organization

MAX_BYTES = 2_000_000  # room for 10 000 organizations


def load(
    path: Path,
    environ: Mapping[str, str],
    reserved_labels: Collection[str],
    *,
    storage: bool = False,
    shards: int = 1,
) -> Config:
    """Read a configuration file, and the key and certificate files that it names.

    `environ` fills in `${NAME}`, `reserved_labels` are the ones that metrics use themselves,
    `storage` says whether --storage.path is set, and `shards` is --total-shards. Raises
    ConfigError with everything that is wrong.
    """
    document = parse(text_of(path), str(path), environ)
    if document.root.value is None:
        rule = "is empty: list at least one organization"
        raise ConfigError([Problem(str(path), None, "", rule)])
    report = Report(str(path), document.root)
    for key_path, line in document.duplicates:
        report.add(key_path, "appears twice: keep one", line)
    context = Context(_folder(path), reserved_labels)
    file = read(ConfigFile, document.root, report, context)
    check(file, report, storage=storage, shards=shards)
    report.raise_if_any()
    return _resolve(file)


def _folder(path: Path) -> Path:
    try:
        return files.absolute(path.parent)
    except ValueError as error:
        raise ConfigError([Problem(str(path), None, "", str(error))]) from None


def text_of(path: Path) -> str:
    """Return the text of a file, without the byte order mark that some editors write.

    Raises ConfigError if it cannot be read, is too large or is no text.
    """
    file = str(path)
    try:
        content = files.content(path, MAX_BYTES + 1)
    except files.IrregularError:
        raise ConfigError([Problem(file, None, "", "must be a regular file")]) from None
    except OSError as error:
        reason = files.reason(error, path)
        raise ConfigError([Problem(file, None, "", f"cannot be read: {reason}")]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(file, None, "", "must not be larger than 2 MB")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(file, line, "", "must be text in UTF-8")]) from None


def _resolve(file: ConfigFile) -> Config:
    """Fill in what depends on other keys. Everything in `file` is valid."""
    default_key = None if file.credentials is None else _api_key(file.credentials)
    organizations = []
    for entry in file.organizations:
        api_key = default_key if entry.credentials is None else _api_key(entry.credentials)
        assert api_key is not None  # noqa: S101 - for mypy; `check` has seen to it
        interval = entry.poll_interval or file.poll.interval
        organizations.append(
            Organization(
                id=entry.id,
                name=entry.name or entry.id,
                api_key=api_key,
                interval=interval,
                max_age=file.poll.max_age_at(interval),
                budget_usd=file.budget_usd if entry.budget_usd is None else entry.budget_usd,
                labels=entry.labels,
            )
        )
    return Config(
        organizations=tuple(organizations),
        api=file.api,
        poll=file.poll,
        collectors=tuple(name for name, enabled in file.collectors.plain().items() if enabled),
        invoices=file.invoices,
        budget_usd=file.budget_usd,
        limits=file.limits,
        credentials=default_key,
        discovery=file.discovery,
    )


def _api_key(credentials: CredentialsConfig) -> ApiKey:
    file = credentials.api_key_id_file
    key_id = str(file) if credentials.api_key_id is None else credentials.api_key_id
    return ApiKey(key_id, credentials.api_key, credentials.api_key_file, file)
