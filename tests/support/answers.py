"""Answers of the JSON API, held to docs/api.schema.json in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

import jsonschema

from exporter.model import OrganizationState
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.state.store import Store
from exporter.web.api import Api
from exporter.web.summary import PageContext
from support.process import ROOT
from support.rig import Rig
from support.status import CONTEXT
from support.virtual import VirtualClock, run

SCHEMA = json.loads((ROOT / "docs" / "api.schema.json").read_text())


@cache
def validator(name: str) -> Any:
    """Return what checks an answer against a part of the schema; each member has to be there."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def checked(name: str, body: bytes) -> Any:
    """Return an answer's content, which is as the schema says, in ASCII and without NaN."""
    assert body.isascii()
    assert body.endswith(b"\n")
    document = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_each_once)
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(document))
    assert error is None, f"{error.json_path}: {error.message}"
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a member comes twice"
    return dict(pairs)


def _no_constant(text: str) -> NoReturn:
    raise AssertionError(f"{text} is no JSON")


def api_of(*states: OrganizationState, context: PageContext = CONTEXT) -> Api:
    """Return the API before these organizations. Call it where a virtual loop runs."""
    store = Store()
    for state in states:
        store.put(state)
    return Api(store, Archive(store), VirtualClock(), Shard(), lambda: context)


def api_of_rig(rig: Rig) -> Api:
    """Return the API before what a rig knows, now and later."""

    def context() -> PageContext:
        clock, limit = rig.clock, rig.publisher.limit
        return PageContext(clock.time(), clock.monotonic(), rig.poller.next_poll, limit)

    return Api(rig.store, Archive(rig.store, rig.storage), rig.clock, Shard(), context)


def line(state: OrganizationState, context: PageContext = CONTEXT) -> Mapping[str, Any]:
    """Return an organization as it is in the list."""

    async def ask() -> bytes:
        return (await api_of(state, context=context).organizations(())).body

    (found,) = checked("Organizations", run(ask()))["organizations"]
    return found  # type: ignore[no-any-return]


def whole(state: OrganizationState, context: PageContext = CONTEXT) -> Mapping[str, Any]:
    """Return an organization with what its bill is made of."""

    async def ask() -> bytes:
        api = api_of(state, context=context)
        return (await api.organization(state.organization.id, ())).body

    return checked("WholeOrganization", run(ask()))  # type: ignore[no-any-return]
