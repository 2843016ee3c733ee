"""Faults of connections and of certificates, by real clients through the simulator's front."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import pytest

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.model import ApiKey, Cause, Secret
from exporter.simulator import Fault, http2
from support.clock import NOON, StandingClock
from support.simulated import (
    ANSWERS,
    FIRST,
    SECOND,
    Caller,
    Simulation,
    code,
    exporter_client,
    failure,
    run,
    simulation,
)

USAGE = "GetCurrentMonthUsage"
# gRPC says the second, rarely, when what breaks a connection comes amid its own first frames.
BROKEN = ("UNAVAILABLE", "UNKNOWN")


async def connects(port: int) -> bool:
    """Tell whether something listens on a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def fresh(sim: Simulation, **options: Any) -> str:
    """Return the status of a call over a connection of its own, OK if it succeeds."""
    pool = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sim.port}", pool) as channel:
        try:
            await Caller(channel).authenticate(**options)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"


async def succeeds(call: Callable[..., Awaitable[object]]) -> None:
    """Call until it succeeds: gRPC may find only on the way that its old connection is broken."""
    while True:
        try:
            await call(wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if error.code().name not in BROKEN:
                raise
        else:
            return


# --- The front ----------------------------------------------------------------------------


def test_the_front_changes_nothing_by_itself() -> None:
    """Every call passes, many at once and large ones too, and calls are counted."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            sim.simulator.inject(f"huge:method={USAGE},size=2,organization=2")
            token = await sim.caller.authenticate()
            calls = [sim.caller.call(m, token=token) for m in ANSWERS for _ in range(30)]
            assert all(await asyncio.gather(*calls))
            assert len(await sim.caller.call(USAGE, SECOND)) > 2 << 20
            assert sim.simulator.calls[USAGE] == 31

    run(scenario())


def test_a_taken_port_is_refused_by_the_front() -> None:
    """With the address in the message, and nothing left behind."""

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            async with simulation() as sim:
                await sim.simulator.stop()
                with pytest.raises(OSError, match=f"cannot listen on {address}: Address already"):
                    await sim.simulator.start(address, front=True)

    run(scenario())


def test_a_fault_of_connections_needs_the_front() -> None:
    """Injected before the start it brings one; after a start without, it is an error."""

    async def scenario() -> None:
        async with simulation(faults=["refuse"]) as sim:
            assert not await connects(sim.port)
        async with simulation() as sim:
            with pytest.raises(RuntimeError, match="front=True"):
                sim.simulator.inject("refuse")
            assert not len(sim.simulator.faults)
            assert await sim.caller.authenticate()

    run(scenario())


def test_the_front_ends_what_is_left() -> None:
    """Stopping waits for no client: idle connections and half-made ones end with it."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
            assert await sim.caller.authenticate()
            sim.simulator.inject("blackhole")
            hanging = asyncio.create_task(code(sim.caller.authenticate()))
            await reader.read(1)  # the server's settings: the connection is through
            await sim.simulator.stop()
            assert await hanging == "UNAVAILABLE"
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            assert not await connects(sim.port)

    run(scenario())


# --- Faults -------------------------------------------------------------------------------


def test_a_refused_connection() -> None:
    """The port is closed and connections are reset; it is the same port that opens again."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            token = await sim.caller.authenticate()
            fault = sim.simulator.inject(Fault("refuse"))
            assert not await connects(sim.port)
            assert await code(sim.caller.call(USAGE, token=token)) == "UNAVAILABLE"
            fault.clear()
            assert await connects(sim.port)
            assert await sim.caller.call(USAGE, token=token, wait_for_ready=True)

    run(scenario())


def test_a_refused_connection_has_its_time() -> None:
    """Nobody has to ask: the port closes at the one moment and opens at the other."""

    async def scenario() -> None:
        clock = StandingClock()
        async with simulation(clock=clock, front=True) as sim:
            sim.simulator.inject("refuse:from=1h,until=2h")
            assert await fresh(sim) == "OK"
            clock.now = NOON + 3600
            while await fresh(sim) == "OK":
                pass
            assert not await connects(sim.port)
            clock.now = NOON + 7200
            while await fresh(sim) != "OK":
                pass

    run(scenario())


@pytest.mark.parametrize("fault", ["close", "http-502", "http-502:http=1", "noise"])
def test_a_connection_that_leads_nowhere(fault: str) -> None:
    """New connections fail at once; older ones fail too; without the fault, both are good."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            assert await sim.caller.authenticate()
            injected = sim.simulator.inject(fault)
            assert await fresh(sim) in BROKEN
            assert await code(sim.caller.authenticate()) in BROKEN
            injected.clear()
            assert await fresh(sim) == "OK"
            await succeeds(sim.caller.authenticate)

    run(scenario())


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_bad_gateway_sends_a_page(version: str) -> None:
    """The HTML and its status are what a client reads that is no gRPC client."""

    async def scenario() -> None:
        async with simulation(front=True, faults=[f"http-502:http={version}"]) as sim:
            if version == "2":
                async with grpc.aio.insecure_channel(f"127.0.0.1:{sim.port}") as channel:
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await Caller(channel).authenticate()
                assert "502" in (caught.value.details() or "")
                return
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: simulated\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert answer.endswith(b"</html>\n")
            writer.close()

    run(scenario())


def test_a_connection_is_reset_in_mid_call() -> None:
    """The call fails after it was sent; the next one has a connection of its own."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            token = await sim.caller.authenticate()
            fault = sim.simulator.inject("reset:times=1")
            assert await code(sim.caller.call(USAGE, token=token)) == "UNAVAILABLE"
            assert fault.hits == 1
            await succeeds(lambda **options: sim.caller.call(USAGE, token=token, **options))

    run(scenario())


def test_a_reset_may_hit_every_second_call() -> None:
    """Calls are counted over all connections."""

    async def scenario() -> None:
        async with simulation(front=True, faults=["reset:every=2"]) as sim:
            assert [await fresh(sim) for _ in range(4)] == ["OK", "UNAVAILABLE"] * 2

    run(scenario())


def test_a_blackhole_swallows_new_and_old_connections() -> None:
    """Deadlines pass on both; when it is over, the older connection goes on."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            token = await sim.caller.authenticate()
            fault = sim.simulator.inject("blackhole")
            call = sim.caller.call(USAGE, token=token, timeout=0.2)
            assert await code(call) == "DEADLINE_EXCEEDED"
            assert await fresh(sim, timeout=0.2) == "DEADLINE_EXCEEDED"
            assert await connects(sim.port)
            fault.clear()
            assert await sim.caller.call(USAGE, token=token)

    run(scenario())


def test_a_connection_that_is_told_to_go_away_loses_no_call() -> None:
    """Every call is answered, each over a new connection."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            token = await sim.caller.authenticate()
            fault = sim.simulator.inject("goaway")
            for _ in range(5):
                assert await sim.caller.call(USAGE, token=token, wait_for_ready=True)
            assert fault.hits == 5

    run(scenario())


def test_an_answer_can_get_lost_and_the_connection_goes_on() -> None:
    """The call ends well without a message, however many do; the next ones are answered."""

    async def scenario() -> None:
        async with simulation(front=True) as sim:
            token = await sim.caller.authenticate()
            fault = sim.simulator.inject("lost-message:times=200")
            lost = [await sim.caller.call(USAGE, token=token) for _ in range(200)]
            assert set(lost) == {None}  # which is what gRPC makes of it
            assert fault.hits == 200
            assert await sim.caller.call(USAGE, token=token)

    run(scenario())


def test_a_flood_leaves_no_room_for_answers() -> None:
    """Frames come as fast as they are read, after the settings; without the fault, all is well."""

    async def scenario() -> None:
        async with simulation(front=True, faults=["flood"]) as sim:
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
            writer.write(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0))
            frames = http2.Frames()
            kinds: list[int] = []
            while kinds.count(http2.UNKNOWN) < 10_000:
                kinds += [frame.kind for frame in frames.feed(await reader.read(65_536))]
            assert kinds[0] == http2.SETTINGS
            writer.close()
            sim.simulator.faults.clear()
            assert await fresh(sim) == "OK"

    run(scenario())


def test_dribbling_bytes_are_too_slow() -> None:
    """An answer that would take minutes fails by its deadline, and at a good rate it arrives."""

    async def scenario() -> None:
        async with simulation(front=True, faults=["dribble:rate=20"]) as sim:
            assert await fresh(sim, timeout=0.2) == "DEADLINE_EXCEEDED"
            sim.simulator.faults.clear()
            sim.simulator.inject("dribble:rate=100000")
            assert await fresh(sim) == "OK"

    run(scenario())


def test_a_share_of_the_connections() -> None:
    """Each connection is lucky or not from its beginning, and stays it."""

    async def scenario() -> None:
        async with simulation(front=True, faults=["close:share=0.5"]) as sim:
            outcomes = [await fresh(sim) for _ in range(30)]
            assert 5 < outcomes.count("OK") < 25
            sim.simulator.faults.clear()
            sim.simulator.inject("noise:every=2")
            assert [await fresh(sim) for _ in range(4)] == ["OK", "UNAVAILABLE"] * 2

    run(scenario())


# --- The exporter's client ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("refuse", "UNAVAILABLE"),
        ("close", "UNAVAILABLE"),
        ("reset", "UNAVAILABLE"),
        ("blackhole", "DEADLINE_EXCEEDED"),
        ("http-502", "UNAVAILABLE"),
        ("http-502:http=1", "UNAVAILABLE"),
        ("dribble:rate=5", "DEADLINE_EXCEEDED"),
        ("noise", "UNAVAILABLE"),
    ],
)
def test_the_exporter_calls_it_an_outage_and_recovers(fault: str, status: str) -> None:
    """Whatever happens to connections is an outage; when it is over, the same client reads."""

    async def scenario() -> None:
        async with (
            simulation(front=True, faults=[fault]) as sim,
            exporter_client(sim.port, timeout=0.5) as client,
        ):
            error = await failure(client)
            assert (error.cause, error.code) in {
                (Cause.OUTAGE, status),
                (Cause.OUTAGE, "DEADLINE_EXCEEDED"),  # of the last of several tries
            }
            sim.simulator.faults.clear()
            assert await eventually(client)

    run(scenario())


def test_the_exporter_survives_connections_that_go_away() -> None:
    """GOAWAY is how servers restart: no read fails."""

    async def scenario() -> None:
        async with (
            simulation(front=True, faults=["goaway"]) as sim,
            exporter_client(sim.port) as client,
        ):
            for _ in range(5):
                assert await eventually(client)

    run(scenario())


async def eventually(client: BillingClient) -> bytes:
    """Return an answer as soon as there is one: connecting again takes its backoff."""
    key = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
    while True:
        try:
            return await client.read(ReadRpc(USAGE), FIRST.id, key)
        except BillingError:
            with client._channel:  # which would be closed without a call
                await client._channel._get().channel_ready()


# --- TLS ----------------------------------------------------------------------------------


CA: Final = """
[ca]
default_ca = ours
[ours]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Certificates:
    """Certificates of one authority, made by openssl in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = self._openssl_ca()
        self.configuration = folder / "ca.cnf"
        self.configuration.write_text(CA.format(folder=folder))
        (folder / "index.txt").touch()

    def issue(self, name: str, subject: str = "IP:127.0.0.1", days: int = 2) -> Path:
        """Return a file with a key and a certificate for `subject`; expired if days are below 0.

        By `openssl ca`: the other commands of a new OpenSSL refuse a date that has passed.
        """
        request, file = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject}\n")
        key = self._key(name)
        self._run("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
        past = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
        authority = ("-config", str(self.configuration), "-cert", str(self.ca))
        self._run(
            *("ca", "-batch", *authority, "-keyfile", str(self.folder / "ca.key"), "-notext"),
            *("-in", str(request), "-extfile", str(extensions), "-out", str(file)),
            *(past if days < 0 else ("-days", str(days))),
        )
        file.write_text(file.read_text() + key.read_text())
        return file

    def _openssl_ca(self) -> Path:
        file, key = self.folder / "ca.pem", self._key("ca")
        subject = ("-subj", "/CN=authority", "-days", "2")
        self._run("req", "-x509", "-new", "-key", str(key), *subject, "-out", str(file))
        return file

    def _key(self, name: str) -> Path:
        key = self.folder / f"{name}.key"
        curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self._run("genpkey", *curve, "-out", str(key))
        return key

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return an authority of the module's own."""
    return Certificates(tmp_path_factory.mktemp("tls"))


def server_context(file: Path) -> ssl.SSLContext:
    """Return what a server needs to present the certificate in a file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


def test_tls_ends_at_the_front(certificates: Certificates) -> None:
    """A client that trusts the authority reads, and faults of connections work below TLS."""

    async def scenario() -> None:
        tls = server_context(certificates.issue("good"))
        async with (
            simulation(tls=tls) as sim,
            exporter_client(
                sim.port, tls=True, timeout=0.5, roots=certificates.ca.read_bytes()
            ) as client,
        ):
            assert await eventually(client)
            for fault in ("reset", "http-502", "blackhole", "refuse"):
                injected = sim.simulator.inject(fault)
                assert (await failure(client)).cause is Cause.OUTAGE
                injected.clear()
                assert await eventually(client)

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "subject", "days"),
    [
        ("expired", "IP:127.0.0.1", -1),
        ("wrong-host", "DNS:elsewhere.example", 2),
        ("unknown-authority", "IP:127.0.0.1", 2),
    ],
)
def test_a_certificate_that_must_not_be_trusted(
    fault: str, subject: str, days: int, certificates: Certificates, tmp_path: Path
) -> None:
    """Expired, of another host, or of a stranger: no call is made, and it is an outage."""

    async def scenario() -> None:
        issuer = Certificates(tmp_path) if fault == "unknown-authority" else certificates
        tls = server_context(issuer.issue(fault, subject, days))
        async with (
            simulation(tls=tls) as sim,
            exporter_client(sim.port, tls=True, roots=certificates.ca.read_bytes()) as client,
        ):
            error = await failure(client)
            assert (error.cause, error.code) == (Cause.OUTAGE, "UNAVAILABLE")
            assert not sim.simulator.calls

    run(scenario())


def test_a_certificate_can_be_replaced(certificates: Certificates) -> None:
    """New connections get the certificate that was loaded last, without a restart."""

    async def scenario() -> None:
        tls = server_context(certificates.issue("old", days=-1))
        roots = certificates.ca.read_bytes()
        async with (
            simulation(tls=tls) as sim,
            exporter_client(sim.port, tls=True, roots=roots) as client,
        ):
            assert (await failure(client)).cause is Cause.OUTAGE
            tls.load_cert_chain(certificates.issue("new"))
            assert await eventually(client)

    run(scenario())


def test_a_client_without_tls_is_turned_away(certificates: Certificates) -> None:
    """Plaintext at a TLS port is an outage, and does the next client no harm."""

    async def scenario() -> None:
        tls = server_context(certificates.issue("strict"))
        roots = certificates.ca.read_bytes()
        async with simulation(tls=tls) as sim:
            async with exporter_client(sim.port, timeout=0.5) as client:
                assert (await failure(client)).cause is Cause.OUTAGE
            async with exporter_client(sim.port, tls=True, roots=roots) as client:
                assert await eventually(client)

    run(scenario())
