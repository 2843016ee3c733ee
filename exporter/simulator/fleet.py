"""The simulated accounts: a few companies with a story each, or any number without."""

from __future__ import annotations

import string
from dataclasses import replace
from random import Random
from uuid import UUID

from exporter.pb import billing_pb2
from exporter.pb.billing_pb2 import SOURCE_TYPE_FRAGMENT, UsageCostType
from exporter.simulator.accounts import (
    Account,
    BankAccount,
    Card,
    Pace,
    PaymentHabit,
    Source,
    Upfront,
)

_CARD_BRANDS = ("visa", "mastercard", "amex", "discover")
_TEAMS = ("fleet", "perception", "platform", "field-operations")
_ADJECTIVES = ("Amber", "Brisk", "Cobalt", "Dusky", "Early", "Frosted", "Gentle", "Hollow")
_ANIMALS = ("Otter", "Plover", "Marten", "Heron", "Badger", "Lynx", "Gannet", "Stoat")
_CURRENT_TYPES = tuple(
    name.removeprefix("USAGE_COST_TYPE_").lower()
    for name in UsageCostType.keys()  # noqa: SIM118 - the wrapper is no mapping
    if name.removeprefix("USAGE_COST_TYPE_")
    not in {"UNSPECIFIED", "DATA_UPLOAD", "DATA_EGRESS", "CLOUD_STORAGE", "OTHER_CLOUD_STORAGE"}
)


# With fees in advance on the 9th and the 18th, some due date of the demo is always to come.
AT_THE_LAST_MOMENT = PaymentHabit(paid_after=14.9)


def demo_fleet(seed: int = 1) -> tuple[Account, ...]:
    """Return eight companies, each there for one thing that an exporter has to show.

    The seed decides ids, keys, digits and how busy a day is; the stories stay.
    """
    rng = Random(seed)  # noqa: S311 - invented data
    return (
        _over_budget(rng),
        _card_declined(rng),
        _bank_account_unverified(rng),
        _credited(rng),
        _fragments(rng),
        _free(rng),
        _deprecated_shape(rng),
        _gross_subtotal(rng),
    )


def fleet(n: int, seed: int = 1) -> tuple[Account, ...]:
    """Return `n` plain accounts: one source, three types of cost out of all current ones.

    Briefly named and without a team: the configuration of 10 000 has to fit into 2 MB.
    """
    rng = Random(seed)  # noqa: S311 - invented data
    accounts = []
    for number in range(1, n + 1):
        name = f"{rng.choice(_ADJECTIVES)} {rng.choice(_ANIMALS)} {number:05}"
        types = rng.sample(_CURRENT_TYPES, 3)
        paces = _paces(**{name: round(rng.uniform(0.2, 12.0), 2) for name in types})
        discount = rng.choice((0.0, 0.0, 0.05, 0.15))
        account = _account(rng, name, Source(paces, discount=discount))
        budget = float(rng.randrange(100, 1000, 50))
        accounts.append(replace(account, team="", budget_usd=budget))
    return tuple(accounts)


def _over_budget(rng: Random) -> Account:
    """Outgrow the budget of a pilot: it is spent on the second or third day."""
    paces = _paces(
        per_machine=38.0,
        binary_data_upload=21.5,
        binary_data_cloud_storage=14.25,
        remote_control=6.4,
        trigger_notification=1.15,
    )
    account = _account(rng, "Bramblewick Logistics", Source(paces, discount=0.1))
    return replace(account, budget_usd=120.0)


def _card_declined(rng: Random) -> Account:
    """Pay 40 days late: at any moment one invoice is overdue, or two."""
    paces = _paces(
        per_machine=11.0, tabular_data_upload=3.6, tabular_data_cloud_storage=2.2, logs_upload=0.9
    )
    account = _account(rng, "Kestrelmoor Surveys", Source(paces))
    habit = PaymentHabit(paid_after=55.0, failure="card_declined")
    return replace(account, payment_habit=habit, budget_usd=750.0)


def _bank_account_unverified(rng: Random) -> Account:
    """Pay by hand, a day before it is due, while a US bank account awaits verification."""
    paces = _paces(
        per_machine=17.5,
        binary_data_upload=6.0,
        binary_data_egress=4.4,
        binary_data_cross_region_egress=1.8,
        logs_cloud_storage=0.75,
    )
    account = _account(rng, "Quillback Harvesting", Source(paces, discount=0.05))
    bank = BankAccount(
        bank_name="Example Valley Savings Bank",
        last_four=_digits(rng, 4),
        routing_number="99" + _digits(rng, 7),  # no bank has a number that starts like this
        account_type="checking",
        verification_url=f"https://payments.example.com/verify/{rng.getrandbits(96):024x}",
    )
    habit = PaymentHabit(paid_after=14.0, processing=4.0)
    return replace(account, payment_method=bank, payment_habit=habit, budget_usd=1200.0)


def _credited(rng: Random) -> Account:
    """Get 60 dollars back in the middle of every month: the month to date falls, once."""
    paces = _paces(
        per_machine=9.0,
        simulation_compute=7.8,
        training_logs_cloud_storage=0.6,
        training_logs_egress=0.35,
        packages_cloud_storage=1.1,
    )
    account = _account(rng, "Ossuline Foundry", Source(paces))
    return replace(account, credit_usd=60.0, budget_usd=650.0)


def _fragments(rng: Random) -> Account:
    """Use fragments with tiers: equal labels come twice, and one source has no costs."""
    own = Source(_paces(per_machine=24.0, config_history_cloud_storage=0.4, logs_egress=0.85))
    picking = _fragment("Fleet Gold", _paces(premium_module=6.5, standard_compute=2.1))
    packing = _fragment("Fleet Gold", _paces(premium_module=4.0, remote_control=1.3))
    driving = _fragment(
        "Autonomy Pro",
        # Two modules of one fragment: the same type of cost twice within one source.
        _paces(premium_module=9.0) + _paces(premium_module=3.5),
        discount=0.2,
    )
    idle = _fragment("Sandbox", ())
    account = _account(rng, "Dunmarrow: Fleet & Field", own, picking, packing, driving, idle)
    return replace(
        account,
        upfront=Upfront(day=18, usd=240.0),
        payment_habit=AT_THE_LAST_MOMENT,
        budget_usd=2000.0,
    )


def _free(rng: Random) -> Account:
    """Stay within a free allowance: usage, nothing to pay, and no payment method."""
    paces = _paces(per_machine=0.3, tabular_data_database_compute=0.12, logs_upload=0.05)
    account = _account(rng, "Little Acorn Robotics Club", Source(paces, discount=1.0))
    return replace(account, payment_method=None)


def _deprecated_shape(rng: Random) -> Account:
    """Get the older shape of answers: totals, no sources."""
    paces = _paces(
        per_machine=8.0,
        remote_control=2.6,
        standard_compute=3.3,
        data_upload=4.7,
        data_egress=1.9,
        binary_data_cloud_storage=2.4,
        other_cloud_storage=0.8,
    )
    account = _account(rng, "Pellucid Reef Works", Source(paces, discount=0.1))
    return replace(account, deprecated_shape=True, budget_usd=800.0)


def _gross_subtotal(rng: Random) -> Account:
    """Have a subtotal before discounts, a fee in advance, and a name beyond ASCII."""
    paces = _paces(
        per_machine=15.5,
        tabular_data_database_cloud_storage=3.2,
        tabular_data_database_compute=2.7,
        pipeline_sink_cloud_storage=1.6,
        pipeline_sink_compute=2.05,
        tabular_data_egress=0.95,
    )
    account = _account(rng, "Ørnefjell Inspection", Source(paces, discount=0.15))
    return replace(
        account,
        subtotal_is_gross=True,
        upfront=Upfront(day=9, usd=95.5),
        payment_habit=AT_THE_LAST_MOMENT,
        billing_tier="team",
        budget_usd=1000.0,
    )


def _account(rng: Random, name: str, *sources: Source) -> Account:
    """Return an account that pays by card, in time."""
    return Account(
        id=_uuid(rng),
        name=name,
        team=rng.choice(_TEAMS),
        seed=rng.getrandbits(32),
        api_key_id=_uuid(rng),
        api_key="".join(rng.choices(string.ascii_lowercase + string.digits, k=32)),
        billing_email=f"accounts.payable.{rng.getrandbits(32):08x}@example.com",
        sources=sources,
        payment_method=Card(rng.choice(_CARD_BRANDS), _digits(rng, 4)),
    )


def _fragment(tier: str, paces: tuple[Pace, ...], discount: float = 0.0) -> Source:
    return Source(paces, SOURCE_TYPE_FRAGMENT, tier, discount)


def _paces(**usd_per_day: float) -> tuple[Pace, ...]:
    """Return the paces of types of cost, given by their names in lower case."""
    return tuple(_pace(name, usd) for name, usd in usd_per_day.items())


def _pace(name: str, usd_per_day: float) -> Pace:
    # What is stored or rented costs the same on a Sunday; what people do, a quarter.
    standing = name.endswith("storage") or name in {"per_machine", "premium_module"}
    resource_type: UsageCostType = getattr(billing_pb2, f"USAGE_COST_TYPE_{name.upper()}")
    return Pace(resource_type, usd_per_day, weekend=1.0 if standing else 0.25)


def _uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _digits(rng: Random, n: int) -> str:
    return f"{rng.randrange(10**n):0{n}}"
