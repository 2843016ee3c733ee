"""What the rules are made with: settings.yml, and what a file of the user's changes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from exporter.config import ConfigError, Problem
from exporter.config.duration import format_duration, parse_duration
from exporter.config.fields import key_text, unknown_key
from exporter.config.loader import text_of
from exporter.config.values import number
from exporter.config.yaml_nodes import KeyPath, parse

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
        raise ValueError(f"must be below {LOOKBACK}, after which Prometheus treats series as gone")
    return duration


def _day(duration: str) -> str:
    if seconds(duration) > seconds("1d"):
        raise ValueError("must not be above 1d")
    return duration


def _share(amount: float) -> float:
    if amount > 1:
        raise ValueError("must not be above 1")
    return amount


def _levels(amounts: Sequence[float]) -> Sequence[float]:
    if not amounts or sorted(set(amounts)) != [*amounts]:
        raise ValueError("must be a list of amounts in increasing order")
    return amounts


# What pydantic says of a value of another kind, and what people who write YAML understand.
KINDS: Final = {
    **dict.fromkeys(("model_type", "dict_type"), "must be a mapping"),
    **dict.fromkeys(("list_type", "sequence_str", "is_instance_of"), "must be a list"),
}
LOOKBACK: Final = "5m"  # how far Prometheus looks back for a sample, unless told otherwise
Duration = Annotated[str, BeforeValidator(_duration)]
Day = Annotated[Duration, AfterValidator(_day)]
Interval = Annotated[Duration, AfterValidator(_interval)]
Amount = Annotated[float, BeforeValidator(number)]
Share = Annotated[Amount, AfterValidator(_share)]
Severity = Literal["critical", "warning", "info"]
Levels = Annotated[Sequence[Amount], AfterValidator(_levels)]


class Part(BaseModel):
    """A mapping of the file: every key known, none missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Windows(Part):
    """Lengths of time that rules look back."""

    day: Day
    missed_scrapes: Duration
    memory: Duration
    exporter_outage: Duration
    handover: Duration

    def days(self, count: float) -> str:
        """Return that many days."""
        return times(self.day, count)


class Thresholds(Part):
    """From where on something is worth an alert."""

    stale_intervals: Amount
    stale_after: Duration
    frozen: Duration
    outage_share: Share
    requests_left_share: Share
    due_soon: Duration
    outstanding_balance_usd: Amount
    large_invoice_factor: Amount
    large_invoice_usd: Amount
    large_invoice_news: Duration
    budget_used: Levels
    budget_unwatched: Duration
    spike_usd: Amount
    new_cost_type_usd: Amount


class Alerting(Part):
    """How long a condition must hold, and how severe it is then."""

    severity: Severity
    hold: Duration = Field(alias="for")
    # The severity while something speaks for its ending well, of alerts that know of such a thing.
    mitigated: Severity | None = None


class Settings(Part):
    """The whole file."""

    interval: Interval
    windows: Windows
    thresholds: Thresholds
    alerts: Mapping[str, Alerting]


def load(changes: Path | None = None) -> Settings:
    """Return settings.yml with the changes of another file, which has only what differs.

    Raises ConfigError with everything that is wrong in that file.
    """
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    if changes is None:
        return Settings.model_validate(defaults)
    # There are no variables in it, so a ${ stands for itself.
    document = parse(text_of(changes).replace("${", "$${"), str(changes), {})
    changed, problems = document.root.plain(), []

    def report(path: KeyPath, rule: str, line: int | None = None) -> None:
        line = document.root.line_of(path) if line is None else line
        problems.append(Problem(str(changes), line, _key(path, defaults), rule))

    for path, line in document.duplicates:
        report(path, "appears twice: keep one", line)
    for path, rule in _unknown_keys(defaults, changed):
        report(path, rule)
    try:
        settings = Settings.model_validate(_merged(defaults, changed))
    except ValidationError as error:
        for detail in error.errors():
            report(detail["loc"], _rule(detail))
    if problems:
        raise ConfigError(problems)
    return settings


def _merged(base: Any, changes: Any) -> Any:
    """Return the base with changes of keys that it has."""
    if not isinstance(base, dict):
        return changes
    if changes is None:  # a section may be empty, as when all is commented out
        return base
    if not isinstance(changes, dict):
        return changes
    return {k: _merged(v, changes[k]) if k in changes else v for k, v in base.items()}


def _unknown_keys(base: Any, changes: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield the keys that the base does not have, and the rule that each breaks."""
    if isinstance(base, dict) and isinstance(changes, dict):
        for key, value in changes.items():
            if key in base:
                yield from _unknown_keys(base[key], value, (*path, key))
            else:
                yield (*path, key), unknown_key(key, base)


def _key(path: KeyPath, known: Any) -> str:
    """Return a path as people write it. A key that is not known is shown only if it is a word."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        is_known = isinstance(known, dict) and part in known
        word = part if is_known else key_text((part,))
        text += f".{word}" if text and word else word
        if not is_known:
            break
        known = known[part]
    return text


def _rule(detail: ErrorDetails) -> str:
    """Say in our words what pydantic found."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    said = detail["msg"].replace("Input should be", "must be").replace("'", "")
    return KINDS.get(detail["type"], said)
