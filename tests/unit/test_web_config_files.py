"""The web configuration: a bad file for every rule beside its exact message, and good ones."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import ConfigError
from exporter.web.toolkit import WebConfig, load
from exporter.web.toolkit.tls import CIPHERS, CURVES, supports_curve
from support import cases

Good = Callable[[str], WebConfig]
FOLDER = Path(__file__).parent.parent / "webconfig"
BAD = cases.read(FOLDER / "bad.txt")
GOOD = cases.read(FOLDER / "good.txt")
# So that the fuzzer comes by something that has a meaning.
WORDS = ["tls_server_config", "cert_file", "key", "client_ca", "basic_auth_users", "rate_limit"]
WORDS += ["interval", "burst", "http_server_config", "headers", "a", "null", "1", "$2y$10$", "${a}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the bad files, one with the good ones, and what they name above."""
    folder = shutil.copytree(FOLDER, tmp_path_factory.mktemp("files") / "webconfig")
    for name in ("bad", "good"):
        cases.lay_out(FOLDER / f"{name}.txt", folder / name)
    return folder


@pytest.fixture
def good(folder: Path) -> Good:
    """Return what loads a good file."""
    return lambda name: load(folder / "good" / f"{name}.yml")


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_file_gives_exactly_its_message(
    name: str, folder: Path, *, update_golden: bool
) -> None:
    """A broken rule is told by file, line, key and what to do, and by nothing more."""
    with chdir(folder / "bad"), pytest.raises(ConfigError) as caught:
        load(Path(f"{name}.yml"))
    message = f"{caught.value}\n".replace(str(folder), "/etc/web")
    if update_golden:
        cases.update(FOLDER / "bad.txt", name, message)
    assert message == cases.read(FOLDER / "bad.txt")[name].message


def test_every_bad_file_has_a_message_and_the_reverse() -> None:
    """A file without its message tests nothing."""
    assert all(case.message.strip() for case in BAD.values())


@pytest.mark.parametrize("name", sorted(BAD))
def test_no_message_shows_a_secret_or_a_user(name: str) -> None:
    """The secrets in these files say `s3cret` or are hashes; the user is `alice`."""
    message = BAD[name].message
    assert not any(word in message.lower() for word in ("s3cr", "$2", "alice", "begin"))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_file_is_taken(name: str, good: Good) -> None:
    """Every key and every value of the format is in one of them."""
    assert isinstance(good(name), WebConfig)


def test_a_file_that_is_missing_is_told() -> None:
    """By its name and the reason."""
    with pytest.raises(ConfigError, match=r"^nothing.yml: cannot be read: No such file"):
        load(Path("nothing.yml"))


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    """YAML here is UTF-8."""
    (tmp_path / "web.yml").write_bytes("basic_auth_users: {zoë: x}".encode("latin-1"))
    with pytest.raises(ConfigError, match="must be text in UTF-8"):
        load(tmp_path / "web.yml")


def test_every_key_has_its_effect(good: Good) -> None:
    """In what the file comes to."""
    web = good("everything")
    assert web.tls is not None
    context = web.tls.context
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert web.tls.requires_client_certificate
    assert web.authenticates
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.maximum_version == ssl.TLSVersion.TLSv1_3
    old = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert old == {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"}
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert web.headers == {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000",
    }
    assert list(web.users) == ["alice"]
    assert (web.rate_limit.interval, web.rate_limit.burst) == (0.1, 20)


def test_defaults_are_the_formats(good: Good) -> None:
    """TLS 1.2 to 1.3, the server's order, no client certificates, no users, no limit."""
    web = good("auth_NoClientCert")
    assert web.tls is not None
    assert web.tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert web.tls.context.maximum_version == ssl.TLSVersion.TLSv1_3
    assert web.tls.context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert web.tls.context.verify_mode == ssl.CERT_NONE
    assert not web.authenticates
    assert good("empty") == WebConfig()


def test_every_cipher_suite_of_go_has_its_counterpart(good: Good) -> None:
    """A wrong name in the table would leave a suite out without a word."""
    web = good("ciphers")
    assert web.tls is not None
    names = {cipher["name"] for cipher in web.tls.context.get_ciphers()}
    assert set(CIPHERS.values()) <= names


def test_a_curve_that_this_python_cannot_set_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12's own cannot set X25519; OpenSSL's words for it say nothing to anybody."""
    monkeypatch.setitem(CURVES, "CurveOfTheFuture", "no-such-curve")
    section = f"cert_file: {FOLDER}/server.crt, key_file: {FOLDER}/server.key"
    file = tmp_path / "web.yml"
    for curve in ("X25519", "CurveOfTheFuture"):
        file.write_text(f"tls_server_config: {{{section}, curve_preferences: [{curve}]}}")
        if supports_curve(curve):
            assert load(file).tls is not None
            continue
        with pytest.raises(ConfigError) as caught:
            load(file)
        where = "tls_server_config.curve_preferences[0]"
        rule = "cannot be set by this Python: use a newer one"
        assert str(caught.value) == f"{file}:1: {where}: {rule}"
    assert not supports_curve("CurveOfTheFuture")


def test_suites_of_tls_1_3_alone_leave_only_tls_1_3(good: Good) -> None:
    """As with Go: none is left for older versions."""
    web = good("ciphers_of_tls13_only")
    assert web.tls is not None
    assert web.tls.context.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("NoClientCert", ssl.CERT_NONE),
        ("RequestClientCert", ssl.CERT_NONE),
        ("RequireClientCert", ssl.CERT_REQUIRED),
        ("RequireAnyClientCert", ssl.CERT_REQUIRED),
        ("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL),
        ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED),
    ],
)
def test_client_certificates_are_asked_for_as_configured(
    name: str, mode: ssl.VerifyMode, good: Good
) -> None:
    """One that is required is also verified, whatever the type says."""
    web = good(f"auth_{name}")
    assert web.tls is not None
    assert web.tls.context.verify_mode == mode


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (("DNS", "prometheus.example.com"), True),
        (("DNS", "other.example.com"), False),
        (("DNS", "*.example.com"), False),
        (("IP Address", "192.0.2.1"), True),
        (("IP Address", "2001:DB8:0:0:0:0:0:1\n"), True),
        (("IP Address", "192.0.2.2"), False),
        (("URI", "spiffe://example.com/prometheus"), True),
        (("URI", "spiffe://example.com/Prometheus"), False),
        (("email", "ops@example.com"), True),
        (("DirName", ((("commonName", "prometheus.example.com"),),)), False),
    ],
)
def test_a_client_certificate_needs_one_allowed_name(
    name: tuple[str, str], *, allowed: bool, good: Good
) -> None:
    """Exactly one in the list, of any kind; IPv6 addresses in any notation."""
    web = good("everything")
    assert web.tls is not None
    assert web.tls.allows({"subjectAltName": (name,)}) is allowed
    assert web.tls.allows({"subjectAltName": (("DNS", "x"), name)}) is allowed
    assert not web.tls.allows({})
    assert not web.tls.allows(None)


def test_a_dollar_is_a_dollar(good: Good) -> None:
    """The format knows no variables, and a policy may have ${ in it."""
    assert good("header_with_dollar").headers == {
        "Content-Security-Policy": "default-src '${self}'"
    }


def test_a_web_configuration_shows_no_hash(good: Good) -> None:
    """Not even when it is printed."""
    assert "$2" not in repr(good("users"))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(WORDS), st.sampled_from([": ", ":\n", "", "- ", "|"])
        ),
        max_size=12,
    )
)
def test_whatever_a_file_holds_only_its_own_error_comes_out(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str, str]]
) -> None:
    """Never a traceback."""
    file = tmp_path_factory.getbasetemp() / "fuzzed.yml"
    file.write_text("\n".join(f"{'  ' * depth}{word}{end}" for depth, word, end in lines))
    try:
        load(file)
    except ConfigError as error:
        assert str(error).startswith(str(file))  # noqa: PT017 - it may also be valid
