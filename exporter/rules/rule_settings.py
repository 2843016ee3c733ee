"""What the rules are made with: settings.yml, and what a file of the user's changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from exporter.config.duration import format_duration, parse_duration

DEFAULTS: Final = Path(__file__).resolve().with_name("settings.yml")


def seconds(duration: str) -> float:
    """Return the seconds of a duration as Prometheus writes it."""
    return parse_duration(duration)


def times(duration: str, factor: float) -> str:
    """Return a duration that many times as long."""
    return format_duration(seconds(duration) * factor)


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A mapping of the file: every key known, none missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Windows(Part):
    """Lengths of time that rules look back."""

    day: Duration
    missed_scrapes: Duration
    memory: Duration
    exporter_outage: Duration

    def days(self, count: float) -> str:
        """Return that many days."""
        return times(self.day, count)


class Forecast(Part):
    """When a pace is believed."""

    early_share: Share
    unknown_low: Amount
    unknown_high: Amount


class Thresholds(Part):
    """From where on something is worth an alert."""

    stale_intervals: Amount
    frozen: Duration
    outage_share: Share
    requests_left_share: Share
    due_soon: Duration
    outstanding_balance_usd: Amount
    large_invoice_factor: Amount
    large_invoice_usd: Amount
    large_invoice_news: Duration
    budget_used: Amount
    spike_factor: Amount
    spike_usd: Amount
    spike_known_days: Amount
    new_cost_type_usd: Amount


class Alerting(Part):
    """How long a condition must hold, and how severe it is then."""

    severity: Literal["critical", "warning", "info"]
    hold: Duration = Field(alias="for")


class Settings(Part):
    """The whole file."""

    job: str
    runbooks: str
    dashboards: str
    interval: Duration
    windows: Windows
    forecast: Forecast
    thresholds: Thresholds
    alerts: Mapping[str, Alerting]


def load(changes: Path | None = None) -> Settings:
    """Return settings.yml with the changes of another file, which has only what differs.

    Raises OSError, yaml.YAMLError, or ValueError for a key or a value that is wrong.
    """
    document = yaml.safe_load(DEFAULTS.read_text())
    if changes is not None:
        document = _merged(document, yaml.safe_load(changes.read_text()) or {})
    return Settings.model_validate(document)


def _merged(base: Any, changes: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: _merged(base.get(key), value) for key, value in changes.items()}
