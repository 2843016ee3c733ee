"""An exporter configuration that fits the simulated accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import yaml

from exporter.simulator.accounts import Account

EDITED: Final = 1000  # organizations; the file of more must stay below what the exporter reads


def configuration(
    accounts: Iterable[Account],
    address: str,
    *,
    poll_interval: str = "15s",
    insecure: bool = False,
    ca_file: str = "",
) -> str:
    """Return a complete YAML configuration for an exporter that polls a simulator.

    `address` is the simulator's host:port, `poll_interval` a duration as Prometheus writes it.
    `insecure` allows plaintext to a host that is not loopback; with `ca_file`, the certificates
    to trust, there is TLS. The API keys are in the text.
    """
    api: dict[str, object] = {"address": address, "tls": bool(ca_file)}
    if ca_file:
        api["ca_file"] = ca_file
    if insecure:
        api["insecure"] = True
    settings = {"api": api, "poll": {"interval": poll_interval}}
    organizations = [_organization(account) for account in accounts]
    if len(organizations) <= EDITED:
        return _yaml({**settings, "organizations": organizations})
    lines = "".join(f"- {_yaml(each, flow=True)}" for each in organizations)
    return f"{_yaml(settings)}organizations:\n{lines}"


def _yaml(value: object, *, flow: bool = False) -> str:
    """Return YAML; in flow style on one line, which is shorter, but ${...} needs quotes in it."""
    # The emitter in C, where there is one, takes a second for 10 000 organizations, not four.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        value,
        Dumper=dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=flow,
        width=10_000,
    )
    return text


def _organization(account: Account) -> dict[str, object]:
    organization: dict[str, object] = {"id": account.id, "name": _literal(account.name)}
    if account.budget_usd is not None:
        budget = account.budget_usd
        organization["budget_usd"] = int(budget) if budget.is_integer() else budget
    if account.team:
        organization["labels"] = {"team": _literal(account.team)}
    organization["credentials"] = {
        "api_key_id": account.api_key_id,
        "api_key": _literal(account.api_key),
    }
    return organization


def _literal(text: str) -> str:
    """Return `text` so that the exporter does not take ${...} in it for a variable."""
    return text.replace("${", "$${")
