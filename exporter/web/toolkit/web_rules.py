"""The rules between keys, and between a key and the file that it names."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.config.fields import Report
from exporter.model import Secret
from exporter.web.toolkit.tls import (
    CIPHERS,
    CURVES,
    TLS13_CIPHERS,
    VERIFY_MODES,
    VERSIONS,
    ServerTls,
    allowed_sans,
    context,
    require_certificates,
    supports_curve,
)
from exporter.web.toolkit.watched_files import FileReader
from exporter.web.toolkit.web_schema import TlsServer, WebConfigKeys
from exporter.web.toolkit.web_values import header_rule, user_rule

TLS = "tls_server_config"


def check(keys: WebConfigKeys, report: Report, reader: FileReader) -> ServerTls | None:
    """Report every rule that the valid keys break. Returns what their TLS section comes to."""
    _check_texts(report, ("http_server_config", "headers"), header_rule, named=True)
    _check_texts(report, ("basic_auth_users",), user_rule, named=False)
    limit = keys.rate_limit
    if report.sound(("rate_limit",)) and limit.interval and limit.burst is None:
        report.add(("rate_limit",), "must have a burst, the number of requests allowed at once")
    if keys.tls_server_config is None:
        return None
    return _check_tls(keys.tls_server_config, report, reader)


def _check_texts(
    report: Report,
    path: tuple[str, ...],
    rule_of: Callable[[str, object], str | None],
    *,
    named: bool,
) -> None:
    """Check a mapping of names to strings; `named` says whether a message may name the name."""
    node = report.root
    for part in path:
        if not isinstance(node.value, Mapping) or part not in node.value:
            return
        node = node.value[part]
    if node.value is None:
        return
    if not isinstance(node.value, dict):
        report.add_invalid(path, "must be a mapping")
        return
    for name, child in node.value.items():
        if rule := rule_of(name, child.plain()):
            report.add((*path, name) if named else path, rule, child.line)


def _check_tls(section: TlsServer, report: Report, reader: FileReader) -> ServerTls | None:
    before = len(report.problems)
    _check_versions(section, report)
    _check_choices(section, report)
    certificate = _content(section, "cert", report, reader)
    key = _content(section, "key", report, reader)
    client_ca = _content(section, "client_ca", report, reader)
    for name, content in (("cert", certificate), ("client_ca", client_ca)):
        if content is not None:
            try:
                require_certificates(content)
            except ValueError as error:
                report.add_invalid(_given(section, name), str(error))
    _check_client_auth(section, report)
    if certificate is None or key is None or not report.sound((TLS,)):
        return None
    if len(report.problems) > before:
        return None
    try:
        made = context(
            section, section.cert_file or certificate, section.key_file or key, client_ca
        )
    except ValueError as error:
        report.add(_given(section, "key"), str(error))
    except OSError as error:
        report.add((TLS,), f"cannot be used: {error.strerror}")
    else:
        return ServerTls(made, allowed_sans(section.client_allowed_sans))
    return None


def _given(section: TlsServer, name: str) -> tuple[str, str]:
    """Return the key that gives a certificate or a key: in the file, or by name of another."""
    return (TLS, name if name in section.given else f"{name}_file")


def _content(section: TlsServer, name: str, report: Report, reader: FileReader) -> bytes | None:
    """Return the PEM of `name` or `name_file`; None, and a problem, where there must be one."""
    file_key = f"{name}_file"
    given = section.given & {name, file_key}
    if len(given) > 1:
        report.add((TLS, name), f"must not be set together with {file_key}: keep one")
        return None
    if not given:
        if name != "client_ca" and report.sound((TLS, name), (TLS, file_key)):
            report.add((TLS,), f"must have {file_key}, or {name}")
        return None
    if not report.sound((TLS, name), (TLS, file_key)):
        return None
    path = getattr(section, file_key)
    if not isinstance(path, Path):
        text = getattr(section, name)
        return (text.reveal() if isinstance(text, Secret) else str(text)).encode()
    try:
        return reader.read(path)
    except ValueError as error:
        report.add_invalid((TLS, file_key), str(error))
        return None


def _check_versions(section: TlsServer, report: Report) -> None:
    low, high = (TLS, "min_version"), (TLS, "max_version")
    if report.sound(low, high) and VERSIONS[section.min_version] > VERSIONS[section.max_version]:
        report.add(low, "must not be newer than max_version")


def _check_choices(section: TlsServer, report: Report) -> None:
    suites, curves = (TLS, "cipher_suites"), (TLS, "curve_preferences")
    if section.cipher_suites is not None and report.sound(suites):
        for index, name in enumerate(section.cipher_suites):
            if name not in CIPHERS and name not in TLS13_CIPHERS:
                report.add((*suites, index), f"must be one of {', '.join(CIPHERS)}")
        if section.max_version != "TLS13" and not CIPHERS.keys() & set(section.cipher_suites):
            report.add(suites, "must include one for TLS versions up to max_version")
    if section.curve_preferences is not None and report.sound(curves):
        for index, name in enumerate(section.curve_preferences):
            if name not in CURVES:
                report.add((*curves, index), f"must be one of {', '.join(CURVES)}")
            elif len(section.curve_preferences) == 1 and not supports_curve(name):
                report.add((*curves, index), "cannot be set by this Python: use a newer one")
        if len(section.curve_preferences) > 1:
            report.add(curves, "must have only one item: Python cannot set several")


def _check_client_auth(section: TlsServer, report: Report) -> None:
    path = (TLS, "client_auth_type")
    if not report.sound(path):
        return
    mode = VERIFY_MODES[section.client_auth_type]
    has_ca = bool(section.given & {"client_ca", "client_ca_file"})
    if mode != ssl.CERT_NONE and not has_ca:
        report.add(path, "needs client_ca_file: a certificate that nobody verifies proves nothing")
    if has_ca and section.client_auth_type == "NoClientCert":
        report.add(path, "must not be NoClientCert when there is a client CA")
    sans = (TLS, "client_allowed_sans")
    if section.client_allowed_sans is not None and mode != ssl.CERT_REQUIRED:
        report.add(sans, "needs client_auth_type: RequireAndVerifyClientCert")
