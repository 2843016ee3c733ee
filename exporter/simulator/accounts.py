"""What there is to know about a simulated account."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.pb.billing_pb2 import SOURCE_TYPE_ORG, SourceType, UsageCostType


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one kind of usage costs money."""

    resource_type: UsageCostType
    usd_per_day: float  # on an average working day, before discounts
    weekend: float = 1.0  # a weekend day's share of that


@dataclass(frozen=True, slots=True)
class Source:
    """Where charges come from: the organization itself, or a fragment it uses."""

    paces: tuple[Pace, ...]
    source_type: SourceType = SOURCE_TYPE_ORG
    tier: str = ""
    discount: float = 0.0  # share of the cost, 0 to 1


@dataclass(frozen=True, slots=True)
class Card:
    """A credit card. The digits are personal data."""

    brand: str
    last_four: str


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A US bank account, all of it personal data."""

    bank_name: str
    last_four: str
    routing_number: str
    account_type: str
    verification_url: str = ""  # set while the account awaits verification


@dataclass(frozen=True, slots=True)
class PaymentHabit:
    """When invoices are paid, in days after their date."""

    paid_after: float = 2.0
    processing: float = 1.0  # how long a payment takes before it counts
    failure: str = ""  # the API's reason why every attempt before that fails, if one does


@dataclass(frozen=True, slots=True)
class Upfront:
    """A fee invoiced in advance, every month on the day of the contract's anniversary."""

    day: int  # of the month, 1 to 28
    usd: float


@dataclass(frozen=True, slots=True)
class Account:
    """One simulated organization: who it is, what it uses and how it pays."""

    id: str  # UUID of the organization
    name: str
    team: str  # a label for the exporter's configuration, if not empty
    seed: int  # of the variation from day to day
    api_key_id: str  # UUID
    api_key: str = field(repr=False)
    billing_email: str
    sources: tuple[Source, ...]
    payment_method: Card | BankAccount | None = None
    payment_habit: PaymentHabit = PaymentHabit()
    upfront: Upfront | None = None
    credit_usd: float = 0.0  # granted in the middle of every period
    budget_usd: float | None = None  # for one period
    billing_tier: str | None = None  # sent if not None, as to a billing administrator
    subtotal_is_gross: bool = False  # the API does not define it: most accounts have it net
    deprecated_shape: bool = False  # answers without sources, as the older API did

    @property
    def private_values(self) -> tuple[str, ...]:
        """All that an exporter must never show: the key, and the personal fields sent.

        Made to be searched for. The four digits occur within other numbers by chance: look for
        them as a word of their own.
        """
        values = [self.api_key, self.billing_email]
        match self.payment_method:
            case Card() as card:
                values.append(card.last_four)
            case BankAccount() as bank:
                values += [bank.bank_name, bank.last_four, bank.routing_number, bank.account_type]
                values += [bank.verification_url] if bank.verification_url else []
        return tuple(values)
