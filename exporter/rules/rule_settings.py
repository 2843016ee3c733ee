"""What the rules are made with: settings.yml, and what a file of the user's changes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from exporter.config import ConfigError, Problem
from exporter.config.duration import format_duration, parse_duration
from exporter.config.fields import key_text, unknown_key
from exporter.config.loader import text_of
from exporter.config.values import number
from exporter.config.yaml_nodes import Document, KeyPath, parse

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DEFAULTS: Final = Path(__file__).resolve().with_name("settings.yml")


def seconds(duration: str) -> float:
    """Return the seconds of a duration as Prometheus writes it."""
    return parse_duration(duration)


def times(duration: str, factor: float) -> str:
    """Return a duration that many times as long."""
    return format_duration(seconds(duration) * factor)


def _duration(value: object) -> object:
    parse_duration(value if isinstance(value, str) else "")
    return value


def _interval(duration: str) -> str:
    if seconds(duration) >= seconds(LOOKBACK):
        raise ValueError(f"must be below {LOOKBACK}, after which Prometheus takes series for gone")
    return duration


def _share(amount: float) -> float:
    if amount > 1:
        raise ValueError("must not be above 1")
    return amount


def _job(value: object) -> object:
    if not isinstance(value, str) or not value.isprintable() or {'"', "\\"} & set(value):
        raise ValueError("must be a string without quotes and backslashes")
    return value


LOOKBACK: Final = "5m"  # how far Prometheus looks back for a sample, unless told otherwise
Duration = Annotated[str, BeforeValidator(_duration)]
Interval = Annotated[Duration, AfterValidator(_interval)]
Amount = Annotated[float, BeforeValidator(number)]
Share = Annotated[Amount, AfterValidator(_share)]
Job = Annotated[str, BeforeValidator(_job)]


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

    job: Job
    interval: Interval
    windows: Windows
    forecast: Forecast
    thresholds: Thresholds
    alerts: Mapping[str, Alerting]


def load(changes: Path | None = None) -> Settings:
    """Return settings.yml with the changes of another file, which has only what differs.

    Raises ConfigError with everything that is wrong in that file.
    """
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    if changes is None:
        return Settings.model_validate(defaults)
    file = str(changes)
    # There are no variables in it, so a ${ stands for itself.
    document = parse(text_of(changes).replace("${", "$${"), file, {})
    changed = document.root.plain()
    problems = [
        Problem(file, line, _key(path), "appears twice: keep one")
        for path, line in document.duplicates
    ]
    problems += _unknown_keys(defaults, changed, document, file)
    try:
        settings = Settings.model_validate(_merged(defaults, changed))
    except ValidationError as error:
        for detail in error.errors():
            line = document.root.line_of(detail["loc"])
            problems.append(Problem(file, line, _key(detail["loc"]), _rule(detail)))
    if problems:
        raise ConfigError(problems)
    return settings


def _merged(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict):
        return changes
    if changes is None:  # a section may be empty, as when all is commented out
        return base
    if not isinstance(changes, dict):
        return changes
    return {
        key: _merged(value, changes[key]) if key in changes else value
        for key, value in base.items()
    }


def _unknown_keys(
    base: Any, changes: Any, document: Document, file: str, path: KeyPath = ()
) -> Iterator[Problem]:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return
    for key, value in changes.items():
        here = (*path, key)
        if key in base:
            yield from _unknown_keys(base[key], value, document, file, here)
        else:
            # It may be anything, so that it is shown only if it is a word.
            shown = ".".join(filter(None, (_key(path), key_text((key,)))))
            yield Problem(file, document.root.line_of(here), shown, unknown_key(key, base))


def _key(path: KeyPath) -> str:
    """Return a path of keys that are known as people write it."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _rule(detail: ErrorDetails) -> str:
    """Say in our words what pydantic found."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] in {"model_type", "dict_type"}:
        return "must be a mapping"
    return detail["msg"].replace("Input should be", "must be").replace("'", "")
