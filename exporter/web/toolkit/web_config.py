"""From a web configuration file to a `WebConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.base import files
from exporter.config import ConfigError, Problem
from exporter.config.fields import Report, read
from exporter.config.sections import Context
from exporter.config.yaml_nodes import parse
from exporter.web.toolkit.tls import ServerTls
from exporter.web.toolkit.watched_files import FileReader
from exporter.web.toolkit.web_rules import check
from exporter.web.toolkit.web_schema import RateLimit, WebConfigKeys


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A valid web configuration. The default is that of no file: plain HTTP, for everybody."""

    tls: ServerTls | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)  # name -> bcrypt hash
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit = field(default_factory=RateLimit)

    @property
    def authenticates(self) -> bool:
        """Whether a stranger is turned away."""
        return bool(self.users) or (self.tls is not None and self.tls.requires_client_certificate)


def load(path: Path, reader: FileReader | None = None) -> WebConfig:
    """Read a web configuration file, and the certificate and key files that it names.

    Raises ConfigError with everything that is wrong. `reader` then knows the files, too.
    """
    reader = reader or FileReader()
    file = str(path)
    # The format knows no variables, so a ${ stands for itself.
    document = parse(_text(path, reader).replace("${", "$${"), file, {})
    if document.root.value is None:
        return WebConfig()  # as in the toolkit: nothing is set
    report = Report(file, document.root)
    for key_path, line in document.duplicates:
        # Messages disclose no names of users.
        shown = key_path[:1] if key_path[0] == "basic_auth_users" else key_path
        report.add(shown, "appears twice: keep one", line)
    try:
        folder = files.absolute(path.parent)
    except ValueError as error:
        raise ConfigError([Problem(file, None, "", str(error))]) from None
    keys = read(WebConfigKeys, document.root, report, Context(folder, reserved_labels=()))
    tls = check(keys, report, reader)
    report.raise_if_any()
    return WebConfig(
        tls=tls,
        users={name: str(hashed) for name, hashed in (keys.basic_auth_users or {}).items()},
        headers={
            name: str(value)
            for name, value in (keys.http_server_config.headers or {}).items()
            if value
        },
        rate_limit=keys.rate_limit,
    )


def _text(path: Path, reader: FileReader) -> str:
    file = str(path)
    try:
        return reader.read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([Problem(file, None, "", "must be text in UTF-8")]) from None
    except ValueError as error:
        rule = str(error).replace("must name a file that can be read", "cannot be read")
        rule = rule.replace("must name", "must be")
        raise ConfigError([Problem(file, None, "", rule)]) from None
