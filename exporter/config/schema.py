"""The keys of the configuration file, with their types, defaults and descriptions.

The order of the fields is that of the file, of the reference and of the effective
configuration.
"""

from __future__ import annotations

from typing import Literal

from exporter.config.sections import Section, field
from exporter.config.values import (
    ANYTHING,
    Address,
    ApiKeyText,
    Boolean,
    Duration,
    File,
    LabelName,
    Name,
    Number,
    RegularExpression,
    String,
    WholeNumber,
)

MAX_AGE_INTERVALS = 4  # one failed poll is weather; after four, the numbers mislead


class ApiConfig(Section):
    """The billing API."""

    address: Address = field(default="app.viam.com:443", description="Host and port of the API.")
    tls: Boolean = field(
        default=True,
        description="Use TLS. `false` is refused unless the host is loopback or `insecure` is set.",
    )
    insecure: Boolean = field(
        default=False,
        description="Allow `tls: false` to any host. API keys then travel in plain text.",
    )
    ca_file: File | None = field(
        default=None,
        description="PEM file of the certificate authorities to trust. Default: the system's.",
    )
    timeout: Duration = field(default=20.0, description="Deadline of one request.")
    max_concurrency: WholeNumber = field(
        default=32, description="Requests in flight at once, for all organizations together."
    )
    max_requests_per_day: WholeNumber | None = field(
        default=None,
        description="Ceiling on the requests of one UTC day, retries and authentication "
        "included; polling slows down to stay within it. Shards divide it. Needs "
        "`--storage.path`.",
    )


class PollConfig(Section):
    """How often bills are polled."""

    interval: Duration = field(
        default=900.0, description="Time between two polls of an organization."
    )
    max_age: Duration | None = field(
        default=None,
        description="Age at which data that could not be renewed is withdrawn from /metrics. "
        "At least two intervals. Default: four intervals of the organization.",
    )

    def max_age_at(self, interval: float) -> float:
        """Return the age in seconds at which an organization's data is withdrawn."""
        return self.max_age or MAX_AGE_INTERVALS * interval


class CollectorsConfig(Section):
    """What is polled. At least one must be on."""

    usage: Boolean = field(default=True, description="Cost and usage of the current month.")
    billing_information: Boolean = field(
        default=True, description="Payment method and billing tier."
    )
    invoices: Boolean = field(default=True, description="Invoices and the outstanding balance.")


class InvoicesConfig(Section):
    """Series per invoice. The sums over all invoices are always exported."""

    detail: Literal["none", "open", "all"] = field(
        default="open",
        description="Which invoices have series of their own; `open` ones are not paid yet.",
    )
    max_per_organization: WholeNumber = field(
        default=24, description="At most this many per organization: unpaid first, then newest."
    )


class LimitsConfig(Section):
    """Limits that protect Prometheus."""

    max_series: WholeNumber = field(
        default=2_000_000,
        description="Limit on the series on /metrics. Above it, series per invoice are withheld "
        "first, then whole organizations.",
    )


class CredentialsConfig(Section):
    """An API key of Viam: its id and the key, each in one of two forms."""

    api_key_id: String | None = field(default=None, description="Id of the API key.")
    api_key_id_file: File | None = field(
        default=None,
        description="File that holds the id and nothing else. A new key has a new id: with both "
        "in files, replacing a key needs neither a reload nor a restart.",
    )
    api_key: ApiKeyText | None = field(
        default=None, description="The API key itself, best as `${NAME}` from the environment."
    )
    api_key_file: File | None = field(
        default=None,
        description="File that holds the API key and nothing else. It is read at every "
        "authentication.",
    )


class OrganizationEntry(Section):
    """An organization whose bill is exported."""

    id: String = field(description="Organization id. No two organizations may have the same one.")
    name: Name | None = field(
        default=None, description="The label `org_name`. Default: the API's, else the id."
    )
    budget_usd: Number | None = field(
        default=None,
        description="Budget for a billing period, in US dollars. Default: the file's `budget_usd`.",
    )
    labels: dict[LabelName, Name] = field(
        default_factory=dict, description="Labels to put on `viam_billing_org_info`."
    )
    poll_interval: Duration | None = field(
        default=None, description="Time between two polls. Default: `poll.interval`."
    )
    credentials: CredentialsConfig | None = field(
        default=None,
        description="API key for this organization. Default: the file's `credentials`.",
    )


class DiscoveryConfig(Section):
    """Organizations from the API, in addition to the list or instead of it."""

    enabled: Boolean = field(
        default=False, description="Ask the API which organizations each API key can read."
    )
    refresh: Duration = field(
        default=3600.0, description="Time between two searches for organizations."
    )
    name_pattern: RegularExpression = field(
        default=ANYTHING,
        description="Regular expression that the whole name of an organization must match, unless "
        "it is listed; without look-around or back references.",
    )


class ConfigFile(Section):
    """The whole file."""

    api: ApiConfig = ApiConfig()
    poll: PollConfig = PollConfig()
    collectors: CollectorsConfig = CollectorsConfig()
    invoices: InvoicesConfig = InvoicesConfig()
    budget_usd: Number | None = field(
        default=None,
        description="Budget for a billing period of organizations without one of their own, in US "
        "dollars.",
    )
    limits: LimitsConfig = LimitsConfig()
    credentials: CredentialsConfig | None = field(
        default=None, description="API key for organizations without one of their own."
    )
    organizations: list[OrganizationEntry] = field(
        default_factory=list, description="The organizations whose bills are exported."
    )
    discovery: DiscoveryConfig = DiscoveryConfig()
