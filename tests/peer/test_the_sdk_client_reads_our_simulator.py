"""Viam's own client against our simulator: it must read what our own messages read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from exporter.pb import auth_pb2, billing_pb2
from support.process import PATIENCE, PEER_PYTHON, ROOT, TOOL, running, until

CLIENT = ROOT / "tests" / "peer" / "sdk_client.py"
READS: Mapping[str, tuple[str, type[Any], type[Any]]] = {
    "usage": (
        "GetCurrentMonthUsage",
        billing_pb2.GetCurrentMonthUsageRequest,
        billing_pb2.GetCurrentMonthUsageResponse,
    ),
    "billing_information": (
        "GetOrgBillingInformation",
        billing_pb2.GetOrgBillingInformationRequest,
        billing_pb2.GetOrgBillingInformationResponse,
    ),
    "invoices": (
        "GetInvoicesSummary",
        billing_pb2.GetInvoicesSummaryRequest,
        billing_pb2.GetInvoicesSummaryResponse,
    ),
}


@dataclass(frozen=True)
class Account:
    """An organization as the simulator's configuration has it."""

    id: str
    api_key_id: str
    api_key: str


class OurReader:
    """Calls the simulator with our own messages, once, in the plainest way."""

    def __init__(self, channel: grpc.Channel, account: Account) -> None:
        self._channel = channel
        self._org_id = account.id
        authenticate = channel.unary_unary(
            "/proto.rpc.v1.AuthService/Authenticate",
            request_serializer=auth_pb2.AuthenticateRequest.SerializeToString,
            response_deserializer=auth_pb2.AuthenticateResponse.FromString,
        )
        credentials = auth_pb2.Credentials(type="api-key", payload=account.api_key)
        request = auth_pb2.AuthenticateRequest(entity=account.api_key_id, credentials=credentials)
        token = authenticate(request, timeout=PATIENCE).access_token
        self._metadata = (("authorization", f"Bearer {token}"),)

    def read(self, what: str) -> dict[str, Any]:
        """Return an answer as JSON, unset fields included."""
        method, request, answer = READS[what]
        call = self._channel.unary_unary(
            f"/viam.app.v1.BillingService/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        message: Message = call(
            request(org_id=self._org_id), metadata=self._metadata, timeout=PATIENCE
        )
        # Through JSON, because the SDK's answers come that way, too.
        plain: dict[str, Any] = json.loads(
            json.dumps(
                MessageToDict(
                    message,
                    always_print_fields_with_no_presence=True,
                    preserving_proto_field_name=True,
                )
            )
        )
        return plain

    def pdf(self, invoice_id: str) -> bytes:
        """Return an invoice's PDF."""
        call = self._channel.unary_stream(
            "/viam.app.v1.BillingService/GetInvoicePdf",
            request_serializer=billing_pb2.GetInvoicePdfRequest.SerializeToString,
            response_deserializer=billing_pb2.GetInvoicePdfResponse.FromString,
        )
        request = billing_pb2.GetInvoicePdfRequest(id=invoice_id, org_id=self._org_id)
        return b"".join(
            answer.chunk for answer in call(request, metadata=self._metadata, timeout=PATIENCE)
        )


@dataclass(frozen=True)
class Readings:
    """What the SDK's client read, and what we read just before and just after.

    Answers by (organization id, kind), PDF files by (organization id, invoice id).
    """

    accounts: tuple[Account, ...]
    before: Mapping[tuple[str, str], Any]
    sdk: Mapping[tuple[str, str], Any]
    after: Mapping[tuple[str, str], Any]
    sdk_pdfs: Mapping[tuple[str, str], bytes]
    our_pdfs: Mapping[tuple[str, str], bytes]


@contextmanager
def simulated(folder: Path) -> Iterator[tuple[str, tuple[Account, ...]]]:
    """Run the simulator while inside; yields its address and its accounts."""
    file = folder / "simulated.yml"
    arguments = ("simulate", "--listen-address=127.0.0.1:0", f"--config-out={file}")
    with running(*TOOL, *arguments) as process:
        address = process.stderr.wait_for(r"simulating 8 organizations on (\S+);")[1]
        settings = yaml.safe_load(file.read_text())
        yield (
            address,
            tuple(
                Account(organization["id"], **organization["credentials"])
                for organization in settings["organizations"]
            ),
        )


def read_with_the_sdk(address: str, folder: Path, accounts: tuple[Account, ...]) -> Any:
    """Return what the SDK's client prints."""
    settings = {
        "address": address,
        "folder": str(folder),
        "organizations": [vars(account) for account in accounts],
    }
    done = subprocess.run(
        [PEER_PYTHON, CLIENT],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Readings:
    """Read everything with both clients.

    Costs grow all the time, so ours reads twice, before and after the SDK's. Should a month or
    an invoice begin in between, all is read again.
    """
    folder = tmp_path_factory.mktemp("pdfs")
    with (
        simulated(folder) as (address, accounts),
        grpc.insecure_channel(address) as channel,
    ):
        ours = {account.id: OurReader(channel, account) for account in accounts}

        def our_answers() -> dict[tuple[str, str], Any]:
            return {(id_, what): ours[id_].read(what) for id_ in ours for what in READS}

        def all_readings() -> Readings | None:
            before = our_answers()
            answers = read_with_the_sdk(address, folder, accounts)
            after = our_answers()
            if shape(before) != shape(after):
                return None
            files = {
                (id_, invoice_id): folder / file
                for id_, answer in answers.items()
                for invoice_id, file in answer["pdfs"].items()
            }
            return Readings(
                accounts=accounts,
                before=before,
                sdk={(id_, what): answers[id_][what] for id_ in answers for what in READS},
                after=after,
                sdk_pdfs={key: file.read_bytes() for key, file in files.items()},
                our_pdfs={key: ours[key[0]].pdf(key[1]) for key in files},
            )

        return until(all_readings, "two readings of the same bills")


def shape(value: Any) -> Any:
    """Return what remains of an answer without its values: fields, and lengths of lists."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value)


def differences(before: Any, value: Any, after: Any, path: str) -> Iterator[str]:
    """Yield where a value is not between two others; what is no number must equal one of them."""
    if isinstance(before, dict) and isinstance(value, dict):
        for key in sorted(before.keys() | value.keys()):
            if key not in value or key not in before:
                yield f"{path}.{key} is {'missing' if key in before else 'not ours'}"
            else:
                yield from differences(before[key], value[key], after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(value, list) and len(before) == len(value):
        for number, (low, item, high) in enumerate(zip(before, value, after, strict=True)):
            yield from differences(low, item, high, f"{path}[{number}]")
    elif isinstance(before, float) and isinstance(value, float):
        if not min(before, after) <= value <= max(before, after):
            yield f"{path}: {value} is not within {before} and {after}"
    elif value not in (before, after):
        yield f"{path}: {value!r} is neither {before!r} nor {after!r}"


@pytest.mark.parametrize("what", READS)
def test_the_sdk_reads_what_we_read(readings: Readings, what: str) -> None:
    """Every field of every answer is in both, with the same name and the same value."""
    found = [
        difference
        for account in readings.accounts
        for difference in differences(
            readings.before[account.id, what],
            readings.sdk[account.id, what],
            readings.after[account.id, what],
            f"{account.id} {what}",
        )
    ]
    assert found == []


def test_there_was_something_to_compare(readings: Readings) -> None:
    """The simulated bills use every part of the messages that bills have."""
    used = {name for answer in readings.sdk.values() for name in used_fields(answer)}
    known = {
        field.name
        for message in billing_pb2.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if not message.name.endswith("Request") and message.name != "GetInvoicePdfResponse"
    }
    assert known - used == set()


def used_fields(value: Any) -> Iterator[str]:
    """Yield the fields that are set to something in an answer."""
    if isinstance(value, dict):
        for name, item in value.items():
            if item not in (0, "", [], {}):
                yield name
            yield from used_fields(item)
    elif isinstance(value, list):
        for item in value:
            yield from used_fields(item)


def test_the_sdk_saves_the_same_files(readings: Readings) -> None:
    """Every invoice's PDF is whole, and the same bytes that we get."""
    for account in readings.accounts:
        invoices = readings.sdk[account.id, "invoices"]["invoices"]
        assert {id_ for org_id, id_ in readings.sdk_pdfs if org_id == account.id} == {
            invoice["id"] for invoice in invoices
        }
    assert len(readings.sdk_pdfs) > len(readings.accounts)
    for key, file in readings.sdk_pdfs.items():
        assert file == readings.our_pdfs[key]
        assert file.startswith(b"%PDF-")
        assert file.endswith(b"%%EOF\n")


def test_the_sdk_is_told_that_a_key_is_wrong(tmp_path: Path) -> None:
    """A wrong key fails in the SDK's client as a refusal, not as a broken connection."""
    with simulated(tmp_path) as (address, accounts):
        settings = {
            "address": address,
            "folder": str(tmp_path),
            "organizations": [vars(accounts[0]) | {"api_key": "wrong"}],
        }
        done = subprocess.run(
            [PEER_PYTHON, CLIENT],
            input=json.dumps(settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert "UNAUTHENTICATED" in done.stderr
