"""The keys of the web configuration file, as exporter-toolkit has them.

The reference in docs/web.md is made from it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from exporter.config.sections import Kind, Section, field
from exporter.config.values import Boolean, File, WholeNumber
from exporter.model import Secret
from exporter.web.toolkit.web_values import go_duration, pem, strings

Pem = Annotated[str, Kind("PEM text", pem)]
SecretPem = Annotated[Secret, Kind("PEM text, secret", lambda value: Secret(pem(value)))]
Strings = Annotated[tuple[str, ...], Kind("list of strings", strings)]
Interval = Annotated[float, Kind("duration", go_duration)]
# Checked in `web_rules`, one by one: an error has the line of the one that is wrong.
Texts = Annotated[dict[str, object], Kind("mapping of strings", lambda value: value)]

ClientAuthType = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class TlsServer(Section):
    """TLS. Without this section the server speaks plain HTTP."""

    cert_file: File | None = field(
        default=None, description="Certificate of the server, then its intermediates, as PEM."
    )
    key_file: File | None = field(
        default=None, description="Private key of the certificate, as PEM, not encrypted."
    )
    cert: Pem | None = field(default=None, description="Used instead of `cert_file`.")
    key: SecretPem | None = field(default=None, description="Used instead of `key_file`.")
    client_auth_type: ClientAuthType = field(
        default="NoClientCert",
        description="Whether clients need a certificate. Use `RequireAndVerifyClientCert`.",
    )
    client_ca_file: File | None = field(
        default=None, description="Authorities that sign client certificates, as PEM."
    )
    client_ca: Pem | None = field(default=None, description="Used instead of `client_ca_file`.")
    client_allowed_sans: Strings | None = field(
        default=None,
        description="A client certificate must have one of these as a subject alternative "
        "name: DNS name, IP address, e-mail address or URI.",
    )
    min_version: Version = field(default="TLS12", description="Oldest TLS version to accept.")
    max_version: Version = field(default="TLS13", description="Newest TLS version to accept.")
    cipher_suites: Strings | None = field(
        default=None,
        description="Cipher suites for TLS 1.2 and older, by Go's names. Those of TLS 1.3 may be "
        "named, and are always on. Default: OpenSSL's.",
    )
    prefer_server_cipher_suites: Boolean = field(
        default=True, description="Prefer the server's order of cipher suites."
    )
    curve_preferences: Strings | None = field(
        default=None,
        description="`CurveP256`, `CurveP384`, `CurveP521` or `X25519`; only one, since Python "
        "cannot set several. Default: OpenSSL's.",
    )


class HttpServer(Section):
    """HTTP."""

    http2: Boolean = field(
        default=True, description="No effect: the exporter speaks only HTTP/1.1."
    )
    headers: Texts = field(
        default_factory=dict,
        description="Headers of every response: `Content-Security-Policy`, `X-Frame-Options` "
        "(`deny` or `sameorigin`), `X-Content-Type-Options` (`nosniff`), `X-XSS-Protection`, "
        "`Strict-Transport-Security`. An empty one is not set.",
    )


class RateLimit(Section):
    """A token bucket for all requests together; above it the answer is 429."""

    interval: Interval = field(
        default=0.0, description="Time between two requests, such as `1s`; 0 for no limit."
    )
    burst: WholeNumber | None = field(
        default=None, description="Requests allowed at once. Required with an interval."
    )


class WebConfigKeys(Section):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: Texts = field(
        default_factory=dict,
        description="User names, each with the bcrypt hash of the password. Without any, "
        "anyone may read the pages.",
    )
    rate_limit: RateLimit = RateLimit()
