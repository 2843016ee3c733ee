"""What a configuration comes to, with every default filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from exporter.config.duration import format_duration
from exporter.config.schema import (
    ApiConfig,
    CollectorsConfig,
    DiscoveryConfig,
    InvoicesConfig,
    LimitsConfig,
    PollConfig,
)
from exporter.config.sections import keys_of
from exporter.model import ApiKey, InvoiceDetail, Organization

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml is ten times faster


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration. Durations are seconds, paths are absolute."""

    organizations: tuple[Organization, ...]
    api: ApiConfig = field(default_factory=ApiConfig)
    poll: PollConfig = field(default_factory=PollConfig)
    collectors: tuple[str, ...] = tuple(keys_of(CollectorsConfig))  # the enabled ones
    invoices: InvoicesConfig = field(default_factory=InvoicesConfig)
    budget_usd: float | None = None  # of organizations that come without their own
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    credentials: ApiKey | None = None  # of organizations that come without their own
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    doubts: tuple[str, ...] = ()  # what is valid, but probably not what was meant

    @property
    def api_keys(self) -> Iterator[ApiKey]:
        """Every key, as often as it is written, in the order of the file."""
        if self.credentials is not None:
            yield self.credentials
        for organization in self.organizations:
            yield organization.api_key

    @property
    def invoice_detail(self) -> InvoiceDetail:
        """Which invoices get series of their own."""
        return InvoiceDetail(self.invoices.detail, self.invoices.max_per_organization)

    @property
    def extent(self) -> str:
        """What it configures, in words."""
        count = len(self.organizations)
        named = f"{count} organization{'s' * (count != 1)}"
        if not self.discovery.enabled:
            return named
        found = "the organizations that discovery finds"
        return f"{named}, and {found}" if count else found


def effective(config: Config) -> str:
    """Return the configuration as a file that says everything, with secrets as `<secret>`.

    Loading it, with the secrets put back, gives the same configuration.
    """
    file = {
        "api": config.api.plain(),
        "poll": config.poll.plain(),
        "collectors": {name: name in config.collectors for name in keys_of(CollectorsConfig)},
        "invoices": config.invoices.plain(),
        "budget_usd": config.budget_usd,
        "limits": config.limits.plain(),
        "credentials": config.credentials and _credentials(config.credentials),
        "organizations": [_organization(organization) for organization in config.organizations],
        "discovery": config.discovery.plain(),
    }
    return yaml.dump(_escape(file), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1000)


def fingerprint(text: str) -> str:
    """Return a few characters by which people tell two effective configurations apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _organization(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "name": organization.name,
        "budget_usd": organization.budget_usd,
        "labels": dict(organization.labels),
        "poll_interval": format_duration(organization.interval),
        "credentials": _credentials(organization.api_key),
    }


def _credentials(api_key: ApiKey) -> dict[str, str]:
    found = {"api_key_id" if api_key.id_file is None else "api_key_id_file": api_key.id}
    if api_key.file is not None:
        return found | {"api_key_file": str(api_key.file)}
    return found | {"api_key": str(api_key.secret)}


def _escape(value: object) -> object:
    """Write every `${` so that loading does not take it for a variable."""
    if isinstance(value, dict):
        return {key: _escape(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escape(child) for child in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
