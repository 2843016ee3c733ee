"""Which of several exporters polls an organization; docs/adr/0011-sharding.md says why so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from exporter.config import Config
from exporter.model import SavedOrganization

ORDINAL: Final = re.compile(r".*-([0-9]{1,9})")  # at the end of the name of a StatefulSet's pod


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `total` exporters that share a configuration. `ordinal` counts from 0."""

    ordinal: int = 0
    total: int = 1

    def owns(self, org_id: str) -> bool:
        """Tell whether this shard polls an organization: the one of the highest weight does."""
        if self.total == 1:
            return True
        own = _weight(org_id, self.ordinal)
        # Ends at the first that is higher, so most ids take far fewer hashes than there are shards.
        return all(_weight(org_id, each) <= own for each in range(self.total))

    def part_of(self, config: Config) -> Config:
        """Return what this shard has of a configuration: its organizations, its requests."""
        api = config.api
        if api.max_requests_per_day is not None:
            # Rounded down, so that the shards together stay within the ceiling.
            part = api.max_requests_per_day // self.total
            api = replace(api, max_requests_per_day=part)
        organizations = tuple(each for each in config.organizations if self.owns(each.id))
        return replace(config, api=api, organizations=organizations)

    def asks(self, config: Config) -> Config:
        """Return what this shard asks for names with: discovery asks with all keys anyway."""
        return config if config.discovery.enabled else self.part_of(config)

    def part_of_stored(
        self, saved: Mapping[str, SavedOrganization]
    ) -> Mapping[str, SavedOrganization]:
        """Return what this shard has of what was stored: what moved to another is forgotten."""
        return {org_id: each for org_id, each in saved.items() if self.owns(org_id)}


def choose(ordinal: int | None, total: int, *, pod_name: str, host_name: str) -> Shard:
    """Return the shard that the flags name, or else the name of a StatefulSet's pod.

    `pod_name` is empty if nothing says it. Raises ValueError with what is wrong and what to do.
    """
    said_by = f"--shard={ordinal}"
    if ordinal is None:
        if total == 1:
            return Shard()
        source, name = ("POD_NAME", pod_name) if pod_name else ("the host name", host_name)
        said_by = f"{source} {name!r}"
        found = ORDINAL.fullmatch(name)
        if found is None:
            raise ValueError(
                #: Give `--shard`. In Kubernetes use a StatefulSet; with `hostNetwork`, set
                #: `POD_NAME`.
                f"--total-shards={total} needs --shard, or a number at the end of POD_NAME or of "
                f"the host name, as a StatefulSet's pod has: {said_by} has none"
            )
        ordinal = int(found[1])
    if ordinal > 0 and total == 1:
        raise ValueError(f"{said_by} needs --total-shards, the number of shards")
    if ordinal >= total:
        raise ValueError(
            #: There is a pod too many: change `--total-shards` and the replicas
            #: [together](polling.md#another-number-of-shards).
            f"{said_by} is out of range: with --total-shards={total}, shards are 0 to {total - 1}"
        )
    return Shard(ordinal, total)


def _weight(org_id: str, shard: int) -> bytes:
    """Return the weight of an organization on a shard: 128 bits, so that no two are the same.

    With another hash nearly all organizations would move, and their counters start over.
    """
    text = f"{shard}:{org_id}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).digest()
