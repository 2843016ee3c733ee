"""An exporter configuration that fits the simulated accounts."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from exporter.simulator.accounts import Account


def configuration(
    accounts: Iterable[Account],
    address: str,
    *,
    poll_interval: str = "15s",
    insecure: bool = False,
) -> str:
    """Return a complete YAML configuration for an exporter that polls a simulator.

    `address` is the simulator's host:port, `poll_interval` a duration as Prometheus writes it.
    `insecure` allows plaintext to a host that is not loopback. The API keys are in the text.
    """
    api: dict[str, object] = {"address": address, "tls": False}
    if insecure:
        api["insecure"] = True
    settings = {
        "api": api,
        "poll": {"interval": poll_interval},
        "organizations": [_organization(account) for account in accounts],
    }
    # The emitter in C, where there is one, takes a second for 10 000 organizations, not four.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(settings, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text


def _organization(account: Account) -> dict[str, object]:
    organization: dict[str, object] = {"id": account.id, "name": _literal(account.name)}
    if account.budget_usd is not None:
        organization["budget_usd"] = account.budget_usd
    organization["labels"] = {"team": _literal(account.team)}
    organization["credentials"] = {
        "api_key_id": account.api_key_id,
        "api_key": _literal(account.api_key),
    }
    return organization


def _literal(text: str) -> str:
    """Return `text` so that the exporter does not take ${...} in it for a variable."""
    return text.replace("${", "$${")
