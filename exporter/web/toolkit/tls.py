"""From the section tls_server_config to a context for new connections.

Names are Go's, since the format is; OpenSSL's stand in tables beside them.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from exporter.web.toolkit.web_schema import TlsServer

# Go's tls.CipherSuites() without those of TLS 1.3, which neither Go nor Python lets one choose.
CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
TLS13_CIPHERS: Final = frozenset(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
)
CURVES: Final = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
# RequestClientCert asks for a certificate and does nothing with it, so it is not asked for.
# RequireAnyClientCert takes any certificate, which anyone can make; here it is verified.
VERIFY_MODES: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "RequireClientCert": ssl.CERT_REQUIRED,
    "RequireAnyClientCert": ssl.CERT_REQUIRED,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Those that the format compares, as Python's ssl calls them.
SANS: Final = frozenset(("DNS", "IP Address", "email", "URI"))


class UnreadableCertificateError(ssl.SSLError):
    """A client's certificate, though its authority signed it, has names that are no text."""


class _SSLObject(ssl.SSLObject):
    """What speaks TLS. To asyncio, anything but an SSLError would be a bug."""

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002 - as in ssl
        try:
            return super().getpeercert(binary_form)
        except ValueError:
            raise UnreadableCertificateError from None


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How to speak TLS on a new connection."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] | None  # of client certificates; None: any

    @property
    def requires_client_certificate(self) -> bool:
        """Whether a client without a verified certificate gets nowhere."""
        return self.context.verify_mode == ssl.CERT_REQUIRED

    def allows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Tell whether a client may come in, by the certificate that was verified."""
        if self.allowed_sans is None:
            return True
        names = (certificate or {}).get("subjectAltName", ())
        return any(kind in SANS and _san(value) in self.allowed_sans for kind, value in names)


def allowed_sans(names: Collection[str] | None) -> frozenset[str] | None:
    """Return allowed names as they compare with those of a certificate."""
    return None if names is None else frozenset(map(_san, names))


def _san(name: str) -> str:
    """Return a name in one notation: OpenSSL and people write IPv6 addresses differently."""
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name


def context(
    section: TlsServer, certificate: bytes | Path, key: bytes | Path, client_ca: bytes | None
) -> ssl.SSLContext:
    """Return a context for a valid section; certificate and key as PEM or files of it.

    Raises ValueError if the key is not the certificate's.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.sslobject_class = _SSLObject
    _set_versions(made, section)
    _set_ciphers(made, section)
    if section.curve_preferences:
        made.set_ecdh_curve(CURVES[section.curve_preferences[0]])
    # Each connection is verified by itself, so a rotated authority applies to all new ones.
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.num_tickets = 0
    if section.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_pair(made, certificate, key)
    if client_ca is not None:
        made.load_verify_locations(cadata=client_ca.decode("ascii"))
    made.verify_mode = VERIFY_MODES[section.client_auth_type]
    return made


def supports_curve(name: str) -> bool:
    """Tell whether this Python can set a curve: some before 3.11.4 cannot set X25519."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(CURVES[name])
    except (ssl.SSLError, ValueError):
        return False
    return True


def _set_versions(made: ssl.SSLContext, section: TlsServer) -> None:
    with warnings.catch_warnings():  # that 1.0 and 1.1 are deprecated is said in docs/web.md
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = VERSIONS[section.min_version]
        made.maximum_version = VERSIONS[section.max_version]


def _set_ciphers(made: ssl.SSLContext, section: TlsServer) -> None:
    chosen = [CIPHERS[name] for name in section.cipher_suites or () if name in CIPHERS]
    if section.cipher_suites and not chosen:
        made.minimum_version = ssl.TLSVersion.TLSv1_3  # only suites of 1.3 are named
        return
    # The signatures of TLS 1.0 and 1.1 are below what OpenSSL takes for secure.
    old = section.min_version in {"TLS10", "TLS11"}
    if chosen or old:
        made.set_ciphers(":".join(chosen or ["DEFAULT"]) + ("@SECLEVEL=0" if old else ""))


def _load_pair(made: ssl.SSLContext, certificate: bytes | Path, key: bytes | Path) -> None:
    with ExitStack() as stack:
        names = []
        for content in (certificate, key):
            if isinstance(content, bytes):  # OpenSSL reads files only; this one has no name
                stream = stack.enter_context(tempfile.TemporaryFile())
                stream.write(content)
                stream.flush()
                stream.seek(0)
                names.append(f"/dev/fd/{stream.fileno()}")
            else:
                names.append(str(content))
        try:
            made.load_cert_chain(names[0], names[1], password=_no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ValueError("is not the key of the certificate") from None
            raise ValueError("must be a private key in PEM") from None


def _no_password() -> str:
    raise ValueError("must not be encrypted: there is no way to ask for a password")


def require_certificates(content: bytes) -> None:
    """Raise ValueError with the rule unless the content has PEM certificates."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(
            cadata=content.decode("ascii")
        )
    except (ssl.SSLError, ValueError):
        raise ValueError("must have certificates in PEM") from None
