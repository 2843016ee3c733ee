"""TLS as real clients speak it: versions, client certificates, rotation without a restart."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from exporter.web.limits import Limits
from support.certificates import Authority
from support.process import EXPORTER, PATIENCE, Exporter, running, until

DEMO = (*EXPORTER, "--demo", "--web.listen-address=127.0.0.1:0")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority with a server certificate."""
    made = Authority(tmp_path_factory.mktemp("tls"))
    made.issue("server", "DNS:localhost,IP:127.0.0.1")
    return made


def section(**keys: object) -> dict[str, object]:
    """Return a TLS section with the server's certificate."""
    return {"cert_file": "server.crt", "key_file": "server.key", **keys}


@contextmanager
def serving(file: Path, document: Mapping[str, object]) -> Iterator[Exporter]:
    """Run the demo with a web configuration."""
    file.write_text(yaml.safe_dump(document))
    with running(*DEMO, f"--web.config.file={file}") as process:
        port = process.stdout.wait_for(r"https?://localhost:(\d+)/")[1]
        yield Exporter(process, int(port))


def client(authority: Authority, certificate: str | None = None) -> ssl.SSLContext:
    """Return a client's context, with a certificate of that name if given."""
    context = ssl.create_default_context(cafile=authority.crt)
    if certificate is not None:
        context.load_cert_chain(
            authority.folder / f"{certificate}.crt", authority.folder / f"{certificate}.key"
        )
    return context


def ask(port: int, context: ssl.SSLContext) -> bytes:
    """Return what a server answers to a request for /-/healthy; empty if it hangs up."""
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        try:
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := connection.recv(4096):
                answer += data
        except (ssl.SSLError, ConnectionError):
            return b""
        return answer


def serial(port: int) -> str:
    """Return the certificate that new connections get."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)


def handshake(port: int, *arguments: str) -> str:
    """Let openssl shake hands, and return what it says of it."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    return done.stdout + done.stderr


def test_curl_and_openssl_verify_the_server(authority: Authority) -> None:
    """TLS 1.3 where both can, 1.2 at least, and nothing older."""
    with serving(authority.folder / "plain.yml", {"tls_server_config": section()}) as it:
        url = f"https://localhost:{it.port}/-/healthy"
        command = ["curl", "-sS", "--fail", "--cacert", str(authority.crt), url]
        assert subprocess.run(command, check=True, capture_output=True).stdout == b"healthy\n"
        assert "TLSv1.3" in handshake(it.port)
        assert "Cipher is TLS_" in handshake(it.port, "-tls1_3")
        assert "Cipher is ECDHE-" in handshake(it.port, "-tls1_2")
        weak = ("-cipher", "DEFAULT@SECLEVEL=0")
        assert "Cipher is (NONE)" in handshake(it.port, "-tls1_1", *weak)
        assert "Cipher is (NONE)" in handshake(it.port, "-tls1", *weak)


@pytest.mark.parametrize(
    ("low", "high", "taken", "refused"),
    [
        ("TLS13", "TLS13", ["-tls1_3"], ["-tls1_2"]),
        ("TLS12", "TLS12", ["-tls1_2"], ["-tls1_3"]),
        ("TLS10", "TLS12", ["-tls1_2", "-tls1_1", "-tls1"], ["-tls1_3"]),
    ],
)
def test_versions_are_those_configured(
    authority: Authority, low: str, high: str, taken: list[str], refused: list[str]
) -> None:
    """From the oldest to the newest, and no other."""
    document = {"tls_server_config": section(min_version=low, max_version=high)}
    weak = ("-cipher", "DEFAULT@SECLEVEL=0")
    with serving(authority.folder / "versions.yml", document) as it:
        for version in taken:
            assert "Cipher is (NONE)" not in handshake(it.port, version, *weak)
        for version in refused:
            assert "Cipher is (NONE)" in handshake(it.port, version, *weak)


def test_cipher_suites_and_curves_are_those_configured(authority: Authority) -> None:
    """A client that has no other gets no connection."""
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
    keys = section(max_version="TLS12", cipher_suites=suites, curve_preferences=["CurveP384"])
    with serving(authority.folder / "ciphers.yml", {"tls_server_config": keys}) as it:
        said = handshake(it.port)
        assert "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in said
        assert re.search("(Server|Peer) Temp Key: ECDH, secp384r1", said)
        for other in (("-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("-curves", "X25519")):
            assert "Cipher is (NONE)" in handshake(it.port, *other)


def test_only_a_verified_client_with_an_allowed_name_comes_in(authority: Authority) -> None:
    """Any one name of any kind; without a certificate, or with another's, there is no answer."""
    stranger = Authority(authority.folder, "stranger")
    stranger.issue("forged", "DNS:prometheus.example.com")
    names = {
        "dns": "DNS:other.example.com,DNS:prometheus.example.com",
        "ip": "IP:2001:db8::1",
        "uri": "URI:spiffe://example.com/prometheus",
        "email": "email:ops@example.com",
        "unknown": "DNS:other.example.com,IP:2001:db8::2",
    }
    for name, sans in names.items():
        authority.issue(name, sans)
    allowed = ["prometheus.example.com", "2001:DB8::1", "spiffe://example.com/prometheus"]
    keys = section(
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file="ca.crt",
        client_allowed_sans=[*allowed, "ops@example.com"],
    )
    with serving(authority.folder / "sans.yml", {"tls_server_config": keys}) as it:
        for name in ("dns", "ip", "uri", "email"):
            assert ask(it.port, client(authority, name)).endswith(b"healthy\n"), name
        for nobody in ("unknown", "forged", None):
            assert ask(it.port, client(authority, nobody)) == b"", nobody
        assert ask(it.port, client(authority, "dns")).endswith(b"healthy\n")


def test_a_rotated_certificate_is_served_without_a_restart(authority: Authority) -> None:
    """To new connections, while the ones there are go on; a broken one changes nothing."""
    folder = authority.folder
    crt, key = authority.issue("rotated", "DNS:localhost,IP:127.0.0.1")
    keys = {"cert_file": crt.name, "key_file": key.name}
    with serving(folder / "rotate.yml", {"tls_server_config": keys}) as it:
        first = serial(it.port)
        crt.write_text("half a certificate")
        it.process.stderr.wait_for("rotate.yml:.* must have certificates in PEM")
        assert serial(it.port) == first
        assert ask(it.port, client(authority)).endswith(b"healthy\n")
        authority.issue("rotated", "DNS:localhost,IP:127.0.0.1")
        until(lambda: serial(it.port) != first, "the new certificate is served")
        assert ask(it.port, client(authority)).endswith(b"healthy\n")
        assert it.process.stderr.text.count("must have certificates in PEM") == 1


def test_a_file_that_is_emptied_switches_nothing_off(authority: Authority) -> None:
    """An editor that empties the file before it writes must not open the door for a second."""
    file = authority.folder / "emptied.yml"
    with serving(file, {"tls_server_config": section()}) as it:
        file.write_text("")
        it.process.stderr.wait_for("TLS would be switched off: that needs a restart")
        assert ask(it.port, client(authority)).endswith(b"healthy\n")


def test_plain_http_on_a_tls_port_is_no_bug(authority: Authority) -> None:
    """Nor is noise, or a client that hangs up in the middle: the next one is served."""
    with serving(authority.folder / "noise.yml", {"tls_server_config": section()}) as it:
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 100, b""):
            with socket.create_connection(("127.0.0.1", it.port), PATIENCE) as connection:
                connection.sendall(noise)
                connection.shutdown(socket.SHUT_WR)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionError:
                    pass
        assert ask(it.port, client(authority)).endswith(b"healthy\n")
        assert "Traceback" not in it.process.stderr.text


def test_clients_that_never_shake_hands_do_not_keep_others_out(authority: Authority) -> None:
    """The one that began first makes room, before its time is up."""
    with (
        serving(authority.folder / "crowd.yml", {"tls_server_config": section()}) as it,
        ExitStack() as clients,
    ):
        for number in range(1200):
            clients.enter_context(socket.create_connection(("127.0.0.1", it.port), PATIENCE))
            if number % 100 == 0 or number > 1190:
                assert ask(it.port, client(authority)).endswith(b"healthy\n")


def hello() -> bytes:
    """Return what a client sends first."""
    sent = ssl.MemoryBIO()
    beginning = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="a")
    with suppress(ssl.SSLWantReadError):
        beginning.do_handshake()
    return sent.read()


@pytest.mark.parametrize("first", [b"", b"\x16", hello()], ids=["silent", "a byte", "hello"])
def test_half_open_connections_cost_little(authority: Authority, first: bytes) -> None:
    """There is no TLS for a client before it spoke, and for few that do not go on."""
    with (
        serving(authority.folder / "half.yml", {"tls_server_config": section()}) as it,
        ExitStack() as clients,
    ):
        it.process.stdout.wait_for("Stop with")
        assert ask(it.port, client(authority)).endswith(b"healthy\n")
        before = it.process.memory
        for number in range(1500):
            each = socket.create_connection(("127.0.0.1", it.port), PATIENCE)
            clients.enter_context(each)
            with suppress(ConnectionError):
                each.sendall(first)
            if number % 100 == 99:
                assert it.process.descriptors <= Limits().connections
                assert ask(it.port, client(authority)).endswith(b"healthy\n")
        assert it.process.memory - before < 60_000_000


def test_idle_tls_connections_cost_little(authority: Authority) -> None:
    """As many as there may be, from clients that need no password for it."""
    with (
        serving(authority.folder / "idle.yml", {"tls_server_config": section()}) as it,
        ExitStack() as clients,
    ):
        context = client(authority)
        assert ask(it.port, context).endswith(b"healthy\n")
        before = it.process.memory
        for _ in range(800):
            plain = socket.create_connection(("127.0.0.1", it.port), PATIENCE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each = clients.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            each.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
            assert each.recv(4096).startswith(b"HTTP/1.1 200")
        assert it.process.memory - before < 120_000_000


def test_a_certificate_that_cannot_be_read_ends_its_connection_only(authority: Authority) -> None:
    """Names that are no text, from an authority that is trusted: told once, the next is served."""
    authority.issue("odd", "DER:30:04:82:02:ff:fe")
    authority.issue("good", "DNS:localhost")
    keys = section(client_auth_type="RequireAndVerifyClientCert", client_ca_file="ca.crt")
    with serving(authority.folder / "odd.yml", {"tls_server_config": keys}) as it:
        for _ in range(2):
            assert ask(it.port, client(authority, "odd")) == b""
            assert ask(it.port, client(authority, "good")).endswith(b"healthy\n")
        assert it.process.stderr.text.count("whose certificate has names that are not text") == 1
        assert "level=error" not in it.process.stderr.text
        assert "Traceback" not in it.process.stderr.text


def test_a_client_certificate_counts_as_authentication(authority: Authority) -> None:
    """So there is no warning of strangers, beyond this machine either."""
    keys = section(client_auth_type="RequireAndVerifyClientCert", client_ca_file="ca.crt")
    file = authority.folder / "mutual.yml"
    file.write_text(yaml.safe_dump({"tls_server_config": keys}))
    bills = authority.folder / "exporter.yml"
    api = {"address": "127.0.0.1:9", "tls": False}
    keys = {"api_key_id": "id", "api_key": "key"}
    bills.write_text(
        yaml.safe_dump({"api": api, "organizations": [{"id": "o1", "credentials": keys}]})
    )
    command = (*EXPORTER, f"--config.file={bills}", "--web.listen-address=:0")
    with running(*command, f"--web.config.file={file}") as process:
        process.stderr.wait_for("msg=serving")
        assert "without authentication" not in process.stderr.text
