"""The keys that the exporter holds can charge cards: proof that it can do nothing but read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from exporter.api import calls
from exporter.pb import app_pb2, auth_pb2, billing_pb2, status_pb2

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for path in (ROOT / "exporter").rglob("*.py") if path.parent.name != "pb")

READS = {
    "/proto.rpc.v1.AuthService/Authenticate",
    "/viam.app.v1.BillingService/GetCurrentMonthUsage",
    "/viam.app.v1.BillingService/GetOrgBillingInformation",
    "/viam.app.v1.BillingService/GetInvoicesSummary",
    "/viam.app.v1.BillingService/GetInvoicePdf",
    "/viam.app.v1.AppService/ListOrganizations",
}
SERVER = ROOT / "exporter" / "simulator"  # it answers calls
# What gRPC makes a call with. A channel's methods, and what a stub would use.
CALLS = {"unary_unary", "unary_stream", "stream_unary", "stream_stream"}


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield every node of a module."""
    return ast.walk(ast.parse(path.read_text()))


def strings(path: Path) -> set[str]:
    """Return every string in a module."""
    return {
        n.value for n in nodes(path) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def imports_grpc(path: Path) -> bool:
    """Tell whether a module imports gRPC."""
    names = {alias.name for n in nodes(path) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in nodes(path) if isinstance(n, ast.ImportFrom)}
    return any(name.split(".")[0] == "grpc" for name in names)


def test_the_client_knows_the_reading_calls_and_no_other() -> None:
    """The paths stand in one table."""
    others = {calls.AUTHENTICATE, calls.GET_INVOICE_PDF, calls.LIST_ORGANIZATIONS}
    assert {call.path for call in {*calls.POLLED.values(), *others}} == READS
    assert set(calls.POLLED) == set(calls.ReadRpc)


def arguments_of(path: Path, *names: str) -> list[str]:
    """Return the first argument of each call of a function or method with one of these names."""
    return [
        ast.unparse(n.args[0])
        for n in nodes(path)
        if isinstance(n, ast.Call)
        and n.args
        and (n.func.attr if isinstance(n.func, ast.Attribute) else ast.unparse(n.func)) in names
    ]


def test_only_the_client_can_call_and_only_from_its_table() -> None:
    """Calls are made in two places, with an entry of the table and not with a caller's words.

    What reads gRPC's errors makes none, nor does what keeps the headers of a call.
    """
    callers = {path.name for path in SOURCES if imports_grpc(path) and path.parent != SERVER}
    assert callers == {"channel.py", "client.py", "exchange.py", "failures.py"}
    for name in callers:
        path = ROOT / "exporter" / "api" / name
        made = arguments_of(path, *CALLS)
        assert made == (["rpc.path", "rpc.path"] if name == "channel.py" else [])
        attributes = [n.attr for n in nodes(path) if isinstance(n, ast.Attribute)]
        assert sum(attribute in CALLS for attribute in attributes) == len(made)


def test_the_table_is_the_only_place_that_makes_its_entries() -> None:
    """And the client has them from there: by name, or by what is polled."""
    makers = {path.name for path in SOURCES if arguments_of(path, "Rpc")}
    assert makers == {"calls.py"}
    client = ROOT / "exporter" / "api" / "client.py"
    assert sorted(arguments_of(client, "unary", "stream")) == ["GET_INVOICE_PDF", "rpc"]
    given = arguments_of(client, "_call", "_read")
    assert sorted(given) == ["AUTHENTICATE", "LIST_ORGANIZATIONS", "POLLED[rpc]"]
    partly = [n.args for n in nodes(client) if isinstance(n, ast.Call) and n.args]
    made = [ast.unparse(args[1]) for args in partly if ast.unparse(args[0]) == "self._call"]
    assert sorted(made) == ["POLLED[rpc]", "rpc"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_names_another_method(path: Path) -> None:
    """Nor does any string look like the path of one."""
    paths = {text for text in strings(path) if text.startswith("/") and text.count("/") == 2}
    assert {text for text in paths if "Service" in text or "viam." in text} <= READS


@pytest.mark.parametrize(
    "file",
    [each.DESCRIPTOR for each in (app_pb2, auth_pb2, billing_pb2, status_pb2)],
    ids=lambda f: f.name,
)
def test_no_service_and_no_message_of_a_writing_call_is_declared(file: FileDescriptor) -> None:
    """What has no message cannot be called; requests are those of the reads."""
    assert not file.services_by_name
    requests = {name for name in file.message_types_by_name if name.endswith("Request")}
    reads = {f"{path.rpartition('/')[2]}Request" for path in READS}
    assert requests <= reads
