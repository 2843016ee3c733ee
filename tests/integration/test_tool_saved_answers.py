"""`viam-billing check --save-answers`: nothing personal is in the files, and they can be served."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.api.calls import AUTH_SERVICE, BILLING_SERVICE, POLLED
from exporter.metrics.catalog import COLLECTORS
from exporter.pb import auth_pb2
from exporter.pb import billing_pb2 as pb
from integration.test_canaries import LETTERS, canary, configuration, hidden, on_disk
from support.process import exporter, samples
from support.standing import ENVIRON, Service, command, simulated, standing, within

OUT = "answers"
CHUNKS = (3000, 0, 17)
LIFETIME = 5400.0  # seconds


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all tests here."""
    with standing(tmp_path_factory.mktemp("saved")) as it:
        yield it


def documents(folder: Path) -> dict[str, Any]:
    """Return what was saved, by file name."""
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


class Canaries:
    """Fills answers with texts that occur nowhere else, and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def text(self, alphabet: str = LETTERS) -> str:
        """Return a new one."""
        self.made.append(canary(alphabet))
        return self.made[-1]

    def fill(self, message: Message) -> Any:
        """Set every field there is, and some that we do not know, and return the message."""
        it: Any = message
        for field in message.DESCRIPTOR.fields:
            if field.message_type is Timestamp.DESCRIPTOR:
                getattr(it, field.name).seconds = 1_764_547_200
            elif field.message_type is not None:
                value = getattr(it, field.name)
                self.fill(value.add() if field.is_repeated else value)
            elif field.type == field.TYPE_STRING:
                setattr(it, field.name, self.text())
            elif field.type == field.TYPE_INT64:
                setattr(it, field.name, int(self.text("123456789")[:17]))
            elif field.type == field.TYPE_ENUM:
                setattr(it, field.name, 1)
            else:
                setattr(it, field.name, 12.5)
        unknown = self.text().encode()
        in_group = b"\x0a" + bytes([len(unknown)]) + unknown
        message.MergeFromString(
            b"\x92\x06"
            + bytes([len(unknown)])
            + unknown  # 98: bytes
            + b"\x9b\x06"
            + in_group
            + b"\x9c\x06"  # 99: a group
            + b"\xa1\x06"
            + unknown[:8]  # 100: eight bytes
        )
        return it


@asynccontextmanager
async def talkative(canaries: Canaries, answers: Mapping[str, bytes]) -> AsyncIterator[int]:
    """Serve answers while inside, with canaries in all that comes with them; yields the port."""
    claims = {"iat": 1_764_547_200, "exp": 1_764_547_200 + LIFETIME, "sub": canaries.text()}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    token = f"{canaries.text()}.{payload}.{canaries.text()}"
    canaries.made.append(payload)
    metadata = (
        ("x-customer", canaries.text()),
        (f"x-{canaries.text()}", "1"),
        ("retry-after", canaries.text()),
        ("x-ratelimit-remaining", "41"),
        ("x-customer-bin", canaries.text().encode()),
    )

    async def authenticate(_request: bytes, _context: Any) -> bytes:
        return auth_pb2.AuthenticateResponse(access_token=token).SerializeToString()

    def saying(raw: bytes) -> Callable[[bytes, Any], Any]:
        async def answer(_request: bytes, context: Any) -> bytes:
            await context.send_initial_metadata(metadata[:2])
            context.set_trailing_metadata(metadata[2:])
            return raw

        return answer

    async def pdf(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for size in CHUNKS:
            chunk = (canaries.text() * 100)[:size].encode()
            yield pb.GetInvoicePdfResponse(chunk=chunk).SerializeToString()

    unary: Any = grpc.unary_unary_rpc_method_handler
    billing = {method: unary(saying(raw)) for method, raw in answers.items()}
    billing["GetInvoicePdf"] = grpc.unary_stream_rpc_method_handler(pdf)
    server = grpc.aio.server(
        handlers=(
            grpc.method_handlers_generic_handler(
                AUTH_SERVICE, {"Authenticate": unary(authenticate)}
            ),
            grpc.method_handlers_generic_handler(BILLING_SERVICE, billing),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(1.0)


def test_no_text_of_a_server_reaches_the_files(tmp_path: Path) -> None:
    """Of any field, known or not, of headers, of the token, of names and ids in a configuration."""
    canaries = Canaries()
    answers = {str(one.rpc): canaries.fill(one.message()).SerializeToString() for one in COLLECTORS}
    key = {"api_key_id": canaries.text(), "api_key": canaries.text()}
    organization = {"id": canaries.text(), "name": canaries.text(), "credentials": key}

    def save(port: int) -> None:
        configuration(tmp_path, port, [organization])
        done = command("check", "--connect", f"--save-answers={OUT}", folder=tmp_path)
        assert done.returncode == 0, done.stderr

    async def main() -> None:
        async with talkative(canaries, answers) as port:
            await asyncio.to_thread(save, port)

    asyncio.run(main())
    saved = documents(tmp_path / OUT)
    assert saved.keys() == {
        f"1-{method}.json" for method in (*POLLED, "Authenticate", "GetInvoicePdf")
    }
    hidden(canaries.made, on_disk(tmp_path / OUT))
    invoices = saved["1-GetInvoicesSummary.json"]
    assert invoices["headers"] == {"x-ratelimit-remaining": "41"}
    assert invoices["other_headers"] >= 4
    assert [each["number"] for each in invoices["unknown_fields"]] == [98, 99, 100] * 2
    assert saved["1-Authenticate.json"]["is_jwt"] is True
    assert saved["1-Authenticate.json"]["lifetime_seconds"] == LIFETIME
    assert saved["1-GetInvoicePdf.json"]["chunk_bytes"] == [*CHUNKS]


def test_files_are_for_their_owner_and_the_folder_is_new(service: Service, tmp_path: Path) -> None:
    """Mode 0600 in 0700. What is there already is not written to, and needs a connection."""
    dest = tmp_path / OUT
    save = ("check", "--connect", f"--save-answers={dest}", service.flag)
    assert within(*save).returncode == 0
    assert stat.S_IMODE(dest.stat().st_mode) == 0o700
    files = [*dest.iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    before = on_disk(dest)
    again = within(*save)
    assert again.returncode == 1
    assert (
        again.stderr == f"viam-billing: {dest}: not empty: name a new folder for --save-answers\n"
    )
    assert on_disk(dest) == before
    alone = within("check", f"--save-answers={dest}", service.flag)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "--save-answers needs --connect" in alone.stderr
    both = within("simulate", f"--answers={dest}", "--organizations=2")
    assert (both.returncode, both.stdout) == (2, "")
    assert "use either --answers or --organizations, not both" in both.stderr


def test_a_failure_is_saved_with_its_status(service: Service, tmp_path: Path) -> None:
    """And all else of the organization is saved, too."""
    dest = tmp_path / OUT
    fault = "resource-exhausted:method=GetCurrentMonthUsage,organization=1,retry-after=90s"
    with service.failing(fault):
        done = within("check", "--connect", f"--save-answers={dest}", service.flag)
    assert done.returncode == 1
    assert "7 of 8 organizations can be read" in done.stdout
    saved = documents(dest)
    failed = saved["1-GetCurrentMonthUsage.json"]
    assert (failed["error"], failed["retry_after_seconds"]) == ("RESOURCE_EXHAUSTED", 90.0)
    assert failed["headers"] == {"retry-after": "90"}
    assert "answer" not in failed
    assert saved["1-GetInvoicesSummary.json"]["answer"]["invoices"]
    assert saved["1-GetInvoicePdf.json"]["chunk_bytes"]


def test_the_simulator_serves_what_was_saved(tmp_path: Path) -> None:
    """An exporter that polls it shows the amounts of the files, which are the account's, scaled."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    dest = tmp_path / OUT
    with simulated(first) as file:
        flag = f"--config.file={file}"
        done = command("check", "--connect", f"--save-answers={dest}", flag, folder=first)
        assert done.returncode == 0, done.stderr
        real = usage(flag, first)
    saved = documents(dest)
    with simulated(second, f"--answers={dest}") as file, exporter(f"--config.file={file}") as it:
        it.wait_until_ready()
        served = usage(f"--config.file={file}", second)
        page = by_organization(it.scrape())
    factors = []
    for number, (before, after) in enumerate(zip(real, served, strict=True), 1):
        bill = saved[f"{number}-GetCurrentMonthUsage.json"]
        assert after["org_id"] == bill["organization"] != before["org_id"]
        assert after["period_end"] == before["period_end"]
        assert after["subtotal_usd"] == bill["answer"].get("subtotal", 0.0)
        shown = page["viam_billing_usage_subtotal_usd", after["org_id"]]
        assert shown == after["subtotal_usd"]
        assert page["viam_billing_usage_month_to_date_usd", after["org_id"]] == pytest.approx(
            after["month_to_date_usd"]
        )
        owed = saved[f"{number}-GetInvoicesSummary.json"]["answer"].get("outstanding_balance", 0.0)
        assert page["viam_billing_outstanding_balance_usd", after["org_id"]] == owed
        difference = before["subtotal_usd"] - before["month_to_date_usd"]
        assert (abs(difference) < 1e-6) == (
            abs(after["subtotal_usd"] - after["month_to_date_usd"]) < 1e-6
        )
        if before["subtotal_usd"] > 100:
            factors.append(after["subtotal_usd"] / before["subtotal_usd"])
    assert len(factors) > 2
    assert all(math.isclose(each, factors[0], rel_tol=1e-3) for each in factors)
    assert 0.1 < factors[0] < 0.9


def by_organization(page: str) -> dict[tuple[str, str], float]:
    """Return the samples without labels of their own, by name and organization id."""
    return {
        (name, dict(labels)["org_id"]): value
        for (name, labels), value in samples(page).items()
        if dict(labels).keys() == {"org_id", "org_name"}
    }


def usage(flag: str, folder: Path) -> list[dict[str, Any]]:
    """Return what `viam-billing usage` reads."""
    done = command("usage", "--output=json", flag, folder=folder)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["organizations"]
    return found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no saved answers in it"),
        ("{", "no saved answer: "),
        ("[]", "no saved answer: its format is not 1"),
        ('{"format": 2}', "no saved answer: its format is not 1"),
        (
            '{"format": 1, "method": "Charge", "organization": "a"}',
            "its organization or its method is missing",
        ),
        (
            '{"format": 1, "method": "GetInvoicesSummary", "organization": "a"}',
            "it has neither an answer nor an error",
        ),
        (
            '{"format": 1, "method": "GetInvoicesSummary", "organization": "a", "answer": {"": 1}}',
            "its answer does not parse",
        ),
    ],
)
def test_what_is_no_saved_answer_is_refused(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    """With the file that it is in."""
    if content is not None:
        (tmp_path / "1-x.json").write_text(content)
    done = command("simulate", f"--answers={tmp_path}", folder=tmp_path, environ=ENVIRON)
    assert done.returncode == 1
    assert done.stderr.startswith(f"viam-billing: --answers: {tmp_path}")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
