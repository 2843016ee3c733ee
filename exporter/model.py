"""The nouns that every other module speaks of: frozen, with no behaviour to speak of."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from struct import Struct
from typing import ClassVar, Final, Generic, NamedTuple, NoReturn, Protocol, TypeVar

SourceT = TypeVar("SourceT")


class Clock(Protocol):
    """Time, as a thing that is passed in."""

    def time(self) -> float:
        """Wall clock, Unix seconds: for what a calendar decides, as a due date. It may jump."""

    def monotonic(self) -> float:
        """Seconds since some moment: for ages, intervals and deadlines. It never jumps."""


class Moment(NamedTuple):
    """One moment on both clocks."""

    time: float  # Unix seconds
    monotonic: float


# --- What is configured -------------------------------------------------------------------


class Secret:
    """A string that cannot be printed or pickled by accident.

    Two can be compared, so that a reload sees whether a key changed.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment] # a hash would tell something of it

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Call it where it is sent, and nowhere else."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A Viam API key: its id, which is no secret, and where the key itself is.

    Exactly one of `secret` and `file` is set. Files are read again at every authentication, so
    that a rotated key needs no restart.
    """

    id: str  # the path of `id_file` if there is one, for rotation changes what is in it
    secret: Secret | None = None
    file: Path | None = None
    id_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization whose bill is polled."""

    id: str
    name: str
    api_key: ApiKey
    interval: float  # seconds between two polls
    max_age: float  # seconds after which data that was not confirmed is withdrawn
    budget_usd: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)  # on viam_billing_org_info only

    @property
    def is_unnamed(self) -> bool:
        """Whether its id stands in for a name that nobody has given it."""
        return self.name == self.id


@dataclass(frozen=True, slots=True)
class InvoiceDetail:
    """Which invoices get series of their own."""

    detail: str = "open"  # none, open or all
    limit: int = 24


class FoundOrganization(NamedTuple):
    """An organization as the API lists it."""

    id: str
    name: str


# --- What is exposed ----------------------------------------------------------------------

ORG: Final = ("org_id", "org_name")  # the first two labels of each series of an organization


# A sample: the values of the labels after `org_id` and `org_name`, in the spec's order; its value.
# A plain tuple: there are a hundred in each answer, and a named one takes eight times as long.
Sample = tuple[tuple[str, ...], float]


class Reason(StrEnum):
    """Why a sample is withheld."""

    NAN = "nan"
    INFINITY = "infinity"
    DUPLICATE = "duplicate"
    LIMIT = "limit"  # limits.max_series


class Withheld(NamedTuple):
    """In place of a sample that must not be shown, because nobody could trust it."""

    reason: Reason


class MetricType(StrEnum):
    """The types of the exposition formats that the exporter uses."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as its users know it."""

    name: str  # as samples carry it: a counter's with `_total`
    help: str
    labels: tuple[str, ...] = ()
    type: MetricType = MetricType.GAUGE

    @property
    def family(self) -> str:
        """The OpenMetrics family: a counter's without `_total`."""
        return self.name.removesuffix("_total") if self.type is MetricType.COUNTER else self.name

    @property
    def unit(self) -> str:
        """`usd`, `seconds` or `bytes` where the name says so, else empty."""
        for unit in ("usd", "seconds", "bytes"):
            if self.family.endswith(f"_{unit}"):
                return unit
        return ""


@dataclass(frozen=True, slots=True)
class MetricSpec(Metric, Generic[SourceT]):
    """A row of the catalog: a metric and the pure function that makes its samples.

    It gets the collector's view of an answer, or what is known of an organization. A metric with no
    labels but `org_id` and `org_name` has `value`, which returns None where there is no sample. Any
    other has `extract`, which yields the values of the labels after those two, which stand first in
    `labels`.
    """

    value: Callable[[SourceT], float | None] | None = field(default=None, kw_only=True)
    extract: Callable[[SourceT], Iterable[Sample | Withheld]] = field(
        default=lambda _: (), kw_only=True
    )
    with_configured: bool = field(default=False, kw_only=True)  # has the configured labels, too
    per_invoice: bool = field(default=False, kw_only=True)  # goes first above limits.max_series
    # Its only sample is kept as a number, too, for the pages that people read; of several, each
    # that is not 0.
    figure: bool = field(default=False, kw_only=True)


# --- What a poll left behind --------------------------------------------------------------

# Named tuples where one is made at every poll: a frozen data class takes several times as long.


class Cause(StrEnum):
    """Why a poll failed, in the words of `viam_billing_collector_failure`."""

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    OUTAGE = "outage"
    THROTTLED = "throttled"
    INVALID_ANSWER = "invalid_answer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed poll, in words that may be shown: no secret and no answer's text is in them."""

    cause: Cause
    code: str  # gRPC status name, or a name of ours: see BillingError
    message: str


class Reading(NamedTuple):
    """What was made of an answer's message, rendered lines above all.

    Bytes cost the garbage collector nothing, and compressed they take a fiftieth of the memory of
    sample objects. It may be stored: nothing is in it that the page does not show.
    """

    made_from: bytes  # what tells what it was made from, and for whom, from all else
    as_of: float  # Unix seconds: the moment for which it was made
    next_change: float | None  # Unix seconds: when its samples change by themselves
    fragments: bytes  # lines of the collector's specs, as `exporter.metrics.fragments` keeps them
    withheld: Mapping[str, int]  # reason -> samples
    unknown_enums: Mapping[str, int]  # enum -> values
    period_end: float | None  # Unix seconds: the end of what the answer speaks of
    billing_tier: str
    figures: Mapping[str, float]  # by metric, and label: of specs that are figures


class Answer(NamedTuple):
    """The last good answer of a collector, and what was made from it.

    Kept as a message without what is personal or secret, and as a digest, by which an unchanged
    answer is recognised without decoding it.
    """

    digest: bytes  # of the answer as it came; empty if restored
    message: bytes  # without personal data, as `exporter.state.messages` keeps it: may be stored
    reading: Reading
    received: float  # Unix seconds
    received_monotonic: float
    changed: float  # Unix seconds: when the samples last differed from the ones before

    def again(self, now: Moment, digest: bytes) -> Answer:
        """Return it as received at another moment. `_replace` takes twice as long."""
        return Answer(digest, self.message, self.reading, now.time, now.monotonic, self.changed)


@dataclass(frozen=True, slots=True)
class Tally:
    """How far an amount that starts over with every period has grown and fallen, in US dollars."""

    spend: float = 0.0
    corrections: float = 0.0
    baseline: float | None = None  # the amount last counted in the period; None if none was
    # A smaller amount that came in the last good answer, and that none has confirmed yet.
    fallen: float | None = None
    # Unix seconds: when the baseline was counted, if the last good answer did not count it; for an
    # amount that was never seen, the start of the period that it will have grown in.
    since: float | None = None


class Windows(NamedTuple):
    """What was spent in the windows that people ask for, in US dollars; None where it is unknown.

    As of the last good answer, and of the day before it: the last whole one with an answer after
    its end. Days are numbered from 1970 on.
    """

    answered: int  # the day of the last good answer
    on_it: float | None
    day_before: float | None
    seven_days: float | None
    seven_before: float | None
    twenty_eight_days: float | None
    by_resource: Mapping[str, float]  # on the day before, of every type of the last 28 days
    known: int  # whole days of which at most half is estimated
    others: int  # whole days


@dataclass(frozen=True, slots=True)
class Ledger:
    """The days of an organization on which good answers came, and those between two of them.

    Another may be missing: nothing is known of it. Those that growth can still be spread over are
    in memory, and older ones in the storage, if there is one.
    """

    others: bytes = field(repr=False)  # than that of the last good answer, as day_rows packs them
    row: bytes = field(repr=False)  # that day, which most answers change, and nothing else
    windows: Windows
    # Which of the days before the first one here are known: the newest is the lowest bit, and a
    # bit above the oldest says how many they are.
    older: int = 1


class ClosedPeriod(NamedTuple):
    """A period that has ended. Times are Unix seconds."""

    start: float | None
    end: float
    usage: float  # month to date as last seen, in US dollars
    seen: float  # when


@dataclass(frozen=True, slots=True)
class ClosedPeriods:
    """Those that ended, packed: of ten thousand organizations, there are as many again each month.

    `message` is the last good usage answer of the newest one, as an Answer's, unless it was stored
    by a process before this one.
    """

    packed: bytes = b""
    message: bytes | None = field(default=None, repr=False, compare=False)

    KEPT: ClassVar[int] = 24
    _FORM: ClassVar[Struct] = Struct("<4d")  # a start that is unknown is NaN

    def __iter__(self) -> Iterator[ClosedPeriod]:
        """Yield them, the oldest first."""
        for start, end, usage, seen in self._FORM.iter_unpack(self.packed):
            yield ClosedPeriod(None if math.isnan(start) else start, end, usage, seen)

    @property
    def last(self) -> ClosedPeriod | None:
        """The one that ended last."""
        return next(iter(ClosedPeriods(self.packed[-self._FORM.size :])), None)

    def plus(self, period: ClosedPeriod, message: bytes | None = None) -> ClosedPeriods:
        """Return them with another one, which ended last; the oldest goes when there are KEPT."""
        start = math.nan if period.start is None else period.start
        packed = self._FORM.pack(start, *period[1:])
        return ClosedPeriods(self.packed[-(self.KEPT - 1) * self._FORM.size :] + packed, message)


@dataclass(frozen=True, slots=True)
class ExpectedDay:
    """What a day was expected to cost before it began, in US dollars."""

    usd: float
    upper: float  # what is above is a spike
    resources: bytes = b""  # as `packed` has them: they are read once a day

    _LENGTH: ClassVar[Struct] = Struct("<H")
    _AMOUNT: ClassVar[Struct] = Struct("<d")

    @classmethod
    def packed(cls, by_resource: Mapping[str, float]) -> bytes:
        """Return what each resource type was expected to cost, as it is kept."""
        parts = []
        for name, usd in by_resource.items():
            text = name.encode()
            parts += [cls._LENGTH.pack(len(text)), text, cls._AMOUNT.pack(usd)]
        return b"".join(parts)

    @property
    def by_resource(self) -> Mapping[str, float]:
        """What each resource type of the 28 days before was expected to cost, before discounts."""
        found, at = {}, 0
        while at < len(self.resources):
            (length,) = self._LENGTH.unpack_from(self.resources, at)
            at += self._LENGTH.size + length
            name = self.resources[at - length : at].decode()
            (found[name],) = self._AMOUNT.unpack_from(self.resources, at)
            at += self._AMOUNT.size
        return found


class Forecast(NamedTuple):
    """What the last good answer about usage, and all days before it, make expect.

    Amounts are US dollars.
    """

    usd: float  # where the current period will end
    lower: float
    upper: float
    method: str  # of exporter.forecast.methods: that which counts most
    exhausted: float | None = None  # Unix seconds: when the budget is used up, if in this period
    is_over: bool = False  # whether it is used up already
    # Of the period that ended last: what was expected at its middle against its end, minus 1.
    past_error: float | None = None
    day_before: ExpectedDay | None = None  # the last whole day; None unless it was observed
    on_it: ExpectedDay | None = None  # the day of the answer
    is_exhausted_estimated: bool = False  # used up on a day of which the cost is an estimate


@dataclass(frozen=True, slots=True)
class Spend:
    """What the spend counters and the days of an organization are made from.

    Times are Unix seconds.
    """

    period_start: float | None
    month_to_date: Tally
    by_resource: Mapping[str, Tally]  # resource type -> before discounts
    period_end: float | None = None  # as it is stated
    overrun: float = 0.0  # seconds by which periods end later than is stated
    # When amounts were last counted, while answers come that count nothing.
    paused: float | None = None
    closed: ClosedPeriods = ClosedPeriods()
    # The last good usage answer that counted, as an Answer's, while answers come that do not.
    held: bytes | None = field(default=None, repr=False, compare=False)
    ledger: Ledger | None = None  # on which days it was spent
    # Whether the counters may be less than what was shown of them last: see docs/adr/0009.
    is_behind: bool = False
    # What is expected of the days ahead, and what that was learned from, as exporter.forecast
    # keeps it.
    outlook: bytes | None = field(default=None, repr=False)


class CollectorState(NamedTuple):
    """What is known of one collector of one organization."""

    answer: Answer | None = None
    polled: bool = False  # by this process; what was restored was not
    attempted: float | None = None  # Unix seconds; None before the first poll
    duration: float | None = None  # seconds, of the last poll
    failure: Failure | None = None  # of the last poll; None if it succeeded
    failing_since: float | None = None  # Unix seconds: the first of the polls that failed in a row
    held_until: float | None = None  # Unix seconds; by the server's own delay
    history: bytes = b""  # of the last polls by this process: see exporter.state.history


class OrganizationState(NamedTuple):
    """What is known of one organization. `collectors` has the enabled ones, in catalog order."""

    organization: Organization
    collectors: Mapping[str, CollectorState]
    spend: Spend | None = None  # from the first good answer about usage on
    forecast: Forecast | None = None  # of the last good answer about usage


# --- What survives a restart --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """As much of an Answer as it takes to make it again. No personal data is in it."""

    message: bytes  # as an Answer's; in storage as it was serialized
    received: float  # Unix seconds
    changed: float  # Unix seconds
    reading: Reading | None = None  # so that it need not be made again: see docs/adr/0022


@dataclass(frozen=True, slots=True)
class SavedOrganization:
    """What is stored of an organization. `answers` is by collector."""

    org_id: str
    answers: Mapping[str, SavedAnswer]
    spend: Spend | None
