"""Answers that `viam-billing check --save-answers` saved, to be served again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from exporter.base import files
from exporter.pb import billing_pb2 as pb
from exporter.simulator.accounts import Account
from exporter.simulator.scenarios import BILLING_INFORMATION, INVOICES, METHODS, USAGE

FORMAT: Final = 1
SUFFIX: Final = ".json"
MAX_BYTES: Final = 32 * 1024 * 1024  # of a file; an answer has 4 MiB at most
ANSWERS: Final[Mapping[str, type[Message]]] = {
    USAGE: pb.GetCurrentMonthUsageResponse,
    BILLING_INFORMATION: pb.GetOrgBillingInformationResponse,
    INVOICES: pb.GetInvoicesSummaryResponse,
}

Answer = Message | bytes | grpc.StatusCode


class SavedAnswersError(ValueError):
    """A folder that cannot be served: which file, and what is wrong with it."""


class SavedAnswers(NamedTuple):
    """What a Simulator is made of, and the `answers` to put into it."""

    accounts: tuple[Account, ...]
    answers: Mapping[tuple[str, str], Answer]  # by method and organization id


def load(folder: Path, rng: Random) -> SavedAnswers:
    """Return what is in a folder, with new keys. Raises SavedAnswersError and OSError."""
    found: dict[str, dict[str, Answer]] = {}  # by organization, in the order of their files
    for path in sorted(folder.iterdir(), key=_order):
        if path.suffix != SUFFIX:
            continue
        try:
            document = json.loads(files.content(path, MAX_BYTES))
            org_id, method = _head(document)
            of_organization = found.setdefault(org_id, {})
            if method in ANSWERS:
                of_organization[method] = _answer(document, ANSWERS[method]())
        except (ValueError, RecursionError) as error:
            raise SavedAnswersError(f"{path}: no saved answer: {error}") from error
    if not found:
        #: The folder holds something other than what `check --save-answers` wrote.
        raise SavedAnswersError(f"{folder}: no saved answers in it")
    accounts = tuple(_account(org_id, number, rng) for number, org_id in enumerate(found, 1))
    # What was not saved is not made up.
    answers = {
        (method, org_id): answers.get(method, grpc.StatusCode.NOT_FOUND)
        for org_id, answers in found.items()
        for method in ANSWERS
    }
    return SavedAnswers(accounts, answers)


def _order(path: Path) -> tuple[int, str]:
    """Return what sorts files by the number that their names begin with."""
    number = path.name.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, path.name)


def _head(document: Any) -> tuple[str, str]:
    """Return the organization and the method. Raises ValueError."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    org_id, method = document.get("organization"), document.get("method")
    if not isinstance(org_id, str) or not org_id or method not in METHODS:
        raise ValueError("its organization or its method is missing")
    return org_id, str(method)


def _answer(document: Mapping[str, Any], message: Message) -> Answer:
    """Return an answer, or the status that a call failed with. Raises ValueError."""
    if (code := document.get("error")) is not None:
        statuses = grpc.StatusCode.__members__
        return statuses.get(str(code), grpc.StatusCode.UNKNOWN)
    if not isinstance(answer := document.get("answer"), dict):
        raise SavedAnswersError("it has neither an answer nor an error")
    try:
        return ParseDict(answer, message)
    except ParseError as error:
        raise SavedAnswersError("its answer does not parse") from error


def _account(org_id: str, number: int, rng: Random) -> Account:
    return Account(
        id=org_id,
        name=f"Saved organization {number}",
        team="",
        seed=0,
        api_key_id=str(UUID(int=rng.getrandbits(128), version=4)),
        api_key=f"{rng.getrandbits(160):040x}",
        billing_email="",
        sources=(),
    )
