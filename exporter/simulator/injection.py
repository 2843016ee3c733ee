"""The faults in force: which of them hit a call or a connection, decided the same way each time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping
from random import Random
from typing import Any, Final

from exporter.simulator.faults import Fault, FaultError, parse
from exporter.simulator.scenarios import SCENARIOS, Kind
from exporter.simulator.simulated_clock import SimulatedClock

CONNECTION_FAULTS: Final = frozenset(
    name for name, scenario in SCENARIOS.items() if scenario.kind is Kind.CONNECTION
)


class Injected:
    """A fault in force, until `clear` is called. `hits` counts what it has hit."""

    def __init__(self, fault: Fault, rng: Random, since: float, faults: FaultSet) -> None:
        self.fault = fault
        self.rng = rng  # its own, so that one fault does not change what another one hits
        self.hits = 0
        self.memory: dict[Any, Any] = {}  # what the fault itself has to remember
        self._seen = 0
        self._since = since  # seconds of the monotonic clock
        self._faults = faults

    def clear(self) -> None:
        """Take the fault back. What it has done, such as a hanging call, stays done."""
        self._faults.discard(self)

    def covers(self, now: float) -> bool:
        """Tell whether `now`, by the monotonic clock, lies between `from` and `until`."""
        return self.fault.since <= now - self._since < self.fault.until

    def hit(self) -> bool:
        """Decide over the next candidate, and count it."""
        fault = self.fault
        self._seen += 1
        if self._seen % fault.every or self.hits >= fault.times:
            return False
        if fault.share < 1 and self.rng.random() >= fault.share:
            return False
        self.hits += 1
        return True


class FaultSet:
    """The faults of one simulator, in the order in which they were injected.

    `organizations` are ids; a fault that names one by number means its place there, from 1.
    Subscribers are called after every change.
    """

    def __init__(self, organizations: Iterable[str], clock: SimulatedClock, rng: Random) -> None:
        self._on_change: Callable[[], None] = lambda: None
        self._organizations = tuple(organizations)
        self._clock = clock
        self._rng = rng
        self._injected: list[Injected] = []

    def __iter__(self) -> Iterator[Injected]:
        return iter(tuple(self._injected))

    def __len__(self) -> int:
        return len(self._injected)

    def check(self, fault: Fault) -> None:
        """Raise FaultError if the fault names an organization that is not there."""
        if fault.organization and self._organization(fault) is None:
            raise FaultError(
                f"{fault.name}: organization={fault.organization[:40]}: must be an id, "
                f"or a number from 1 to {len(self._organizations)}"
            )

    def subscribe(self, on_change: Callable[[], None] | None) -> None:
        """Have this called after every change from now on, in place of what was before."""
        self._on_change = on_change or (lambda: None)

    def inject(self, fault: Fault | str) -> Injected:
        """Put a fault in force, given as users write it or parsed. Raises FaultError."""
        if isinstance(fault, str):
            fault = parse(fault)
        self.check(fault)
        rng = Random(self._rng.getrandbits(64))  # noqa: S311 - chance that must repeat
        injected = Injected(fault, rng, self._clock.monotonic(), self)
        self._injected.append(injected)
        self._on_change()
        return injected

    def discard(self, injected: Injected) -> None:
        """Take a fault back, if it is there."""
        if injected in self._injected:
            self._injected.remove(injected)
            self._on_change()

    def clear(self) -> None:
        """Take all faults back."""
        self._injected.clear()
        self._on_change()

    def on_call(
        self, names: Collection[str], method: str, organizations: Collection[str]
    ) -> Iterator[Injected]:
        """Yield the faults of these names that hit a call, deciding one when it is its turn.

        `organizations` are the ids that the call is about: several for a key that reads several.
        """
        for injected in self._current(names):
            fault = injected.fault
            if method != fault.method and (fault.method or method not in fault.scenario.by_default):
                continue
            if fault.organization and self._organization(fault) not in organizations:
                continue
            if injected.hit():
                yield injected

    def on_connection(
        self, names: Collection[str], decided: MutableMapping[Injected, bool]
    ) -> Injected | None:
        """Return the first fault of these names that hits a connection.

        `decided` belongs to the connection: a fault decides once whether it hits it.
        """
        for injected in self._current(names):
            if injected not in decided:
                decided[injected] = injected.hit()
            if decided[injected]:
                return injected
        return None

    def on_event(self, name: str) -> bool:
        """Tell whether a fault hits what has just happened on some connection."""
        return any(injected.hit() for injected in self._current({name}))

    def in_force(self, name: str) -> bool:
        """Tell whether it is the time of a fault that has nothing to decide."""
        return any(True for _ in self._current({name}))

    def _current(self, names: Collection[str]) -> Iterator[Injected]:
        if self._injected:  # nearly always there are none
            now = self._clock.monotonic()
            for injected in self:
                if injected.fault.name in names and injected.covers(now):
                    yield injected

    def _organization(self, fault: Fault) -> str | None:
        """Return the id of the organization that a fault is about, None if there is none."""
        if fault.organization in self._organizations:
            return fault.organization
        place = int(fault.organization) if fault.organization.isdecimal() else 0
        return self._organizations[place - 1] if 1 <= place <= len(self._organizations) else None
