"""A fault to inject, and how users write it: NAME[:KEY=VALUE[,KEY=VALUE...]]."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.config import parse_duration
from exporter.simulator.scenarios import RETRY, SCENARIOS, Kind, Scenario, whole_number

FEW: Final = 30  # characters of a user's text that an error repeats


class FaultError(ValueError):
    """A fault that is written wrongly. The message is one line and says what would be right."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A scenario, and which calls or connections it hits. Usually made by `parse`.

    Of those that match, every `every`-th is a candidate; chance picks `share` of the
    candidates; after `times` hits it is over. `since` and `until` are seconds of real time,
    counted from the injection.
    """

    name: str
    method: str = ""  # bare RPC name; empty for all that the scenario has
    organization: str = ""  # its id, or its number counted from 1; empty for all
    share: float = 1.0  # 0 to 1
    every: float = 1
    times: float = math.inf
    since: float = 0.0
    until: float = math.inf
    values: Mapping[str, float] = field(default_factory=dict)  # of the scenario's parameters

    @property
    def scenario(self) -> Scenario:
        """What the catalogue says of it."""
        return SCENARIOS[self.name]

    def value(self, parameter: str) -> float | None:
        """Return a parameter of the scenario, or its default; None if it has neither."""
        return self.values.get(parameter, self.scenario.parameters[parameter].default)


def parse(text: str) -> Fault:
    """Return the fault that `text` describes. Raises FaultError."""
    name, _, settings = text.strip().partition(":")
    if name not in SCENARIOS:
        raise FaultError(f"unknown fault {name[:FEW]!r}: known are {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name]
    selectors = _selectors(scenario)
    known: Mapping[str, Callable[[str], Any]] = {
        key: read for key, (_, read) in selectors.items()
    } | {key: parameter.parse for key, parameter in scenario.parameters.items()}
    given: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = (part.strip() for part in setting.partition("="))
        if key not in known:
            raise FaultError(f"{name}: unknown key {key[:FEW]!r}: known are {', '.join(known)}")
        if key in given:
            raise FaultError(f"{name}: {key} is given twice")
        try:
            given[key] = known[key](value)
        except ValueError as error:
            raise FaultError(f"{name}: {key}={value[:FEW]}: {error}") from error
    fields = {field: given[key] for key, (field, _) in selectors.items() if key in given}
    fault = Fault(name, **fields, values={k: given[k] for k in scenario.parameters if k in given})
    if fault.until <= fault.since:
        raise FaultError(f"{name}: until must be later than from")
    return fault


def parse_lines(lines: Iterable[str]) -> tuple[list[tuple[int, Fault]], list[tuple[int, str]]]:
    """Return the faults of a file, one a line, and what is wrong in it, with line numbers from 1.

    Empty lines do not count, nor does what follows a #.
    """
    faults, problems = [], []
    for number, line in enumerate(lines, start=1):
        if text := line.partition("#")[0].strip():
            try:
                faults.append((number, parse(text)))
            except FaultError as error:
                problems.append((number, str(error)))
    return faults, problems


def catalogue() -> str:
    """Return the catalogue for people: a line for each fault and each parameter of its own.

    What every status takes is said once, in front of all.
    """
    lines = [f"  {key}: {parameter.description}" for key, parameter in RETRY.items()]
    lines = ["Faults that end a call with a status also take:", *lines]
    for kind in Kind:
        lines += ["", f"{kind}:"]
        for scenario in SCENARIOS.values():
            if scenario.kind is kind:
                lines.append(f"  {scenario.name:21} {scenario.description}")
                lines += [
                    f"  {'':21}   {key}: {parameter.description}"
                    for key, parameter in scenario.parameters.items()
                    if key not in RETRY
                ]
    return "\n".join(lines)


def _selectors(scenario: Scenario) -> Mapping[str, tuple[str, Callable[[str], Any]]]:
    """Return the keys that say when a scenario hits: field of a Fault, and how to read it."""
    when = {"from": ("since", parse_duration), "until": ("until", parse_duration)}
    if scenario.name == "refuse":  # of the port: there is nothing to choose from
        return when
    which = {"share": ("share", _share), "every": ("every", whole_number)}
    which |= {"times": ("times", whole_number)}
    if scenario.kind is Kind.CONNECTION:
        return which | when

    def method(text: str) -> str:
        if text not in scenario.methods:
            raise ValueError(f"must be one of {', '.join(scenario.methods)}")
        return text

    return {"method": ("method", method), "organization": ("organization", _text)} | which | when


def _text(text: str) -> str:
    if not text:
        raise ValueError("must be an id, or a number counted from 1")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:  # so that NaN is refused, too
        raise ValueError("must be a number from 0 to 1")
    return share
