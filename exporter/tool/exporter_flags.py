"""The flags that name running exporters, and how to get in there."""

from __future__ import annotations

import argparse
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult

from exporter.base import files
from exporter.base.address import is_loopback
from exporter.base.files import path_argument
from exporter.base.text import from_system
from exporter.config import read_certificates
from exporter.model import Secret
from exporter.tool.errors import WRONG_USAGE, CommandError
from exporter.web.location import external_url

MAX_PASSWORD: Final = 4096  # bytes of the file


class Access(NamedTuple):
    """Which exporters are asked, and how they know us."""

    urls: Sequence[str]  # without a slash at the end
    user: str | None
    password: Secret | None  # there if the user is
    tls: ssl.SSLContext


def add(command: argparse.ArgumentParser) -> None:
    """Declare them."""
    command.add_argument(
        "--exporter",
        dest="exporters",
        metavar="URL",
        type=_url,
        action="append",
        default=[],
        help="URL of a running exporter, such as http://localhost:8426; repeatable, once for each "
        "shard (default: none)",
    )
    command.add_argument(
        "--exporter.user",
        dest="exporter_user",
        metavar="NAME",
        type=from_system,
        help="user to log in as; the password is sent only over TLS or to this machine",
    )
    for name, what in (
        ("password-file", "file with that user's password"),
        ("ca-file", "certificate authorities to trust, PEM (default: the system's)"),
        ("cert-file", "client certificate, PEM"),
        ("key-file", "key of the client certificate, PEM (default: in the certificate's file)"),
    ):
        command.add_argument(
            f"--exporter.{name}",
            dest=f"exporter_{name.replace('-', '_')}",
            metavar="FILE",
            type=path_argument,
            help=what,
        )


def _url(text: str) -> SplitResult:
    try:
        return external_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def access(arguments: argparse.Namespace) -> Access | None:
    """Return what the flags say, None if they name no exporter. Reads files.

    Raises CommandError for what does not fit.
    """
    user, password_file = arguments.exporter_user, arguments.exporter_password_file
    others = [user, password_file, arguments.exporter_ca_file]
    others += [arguments.exporter_cert_file, arguments.exporter_key_file]
    if not arguments.exporters and any(each is not None for each in others):
        raise CommandError(
            "--exporter.user and the other --exporter.* flags need --exporter", WRONG_USAGE
        )
    if (user is None) is not (password_file is None):
        raise CommandError(
            "--exporter.user and --exporter.password-file must be given together", WRONG_USAGE
        )
    if user is not None and not re.fullmatch(r"[^:\x00-\x1f\x7f\ud800-\udfff]+", user):
        raise CommandError(
            "--exporter.user must not be empty, nor contain a colon or control characters",
            WRONG_USAGE,
        )
    if arguments.exporter_key_file and not arguments.exporter_cert_file:
        raise CommandError("--exporter.key-file needs --exporter.cert-file", WRONG_USAGE)
    for url in arguments.exporters:
        plain_text = url.scheme == "http" and not is_loopback(url.hostname or "")
        if user is not None and plain_text:
            raise CommandError(
                f"the password would be sent to {url.geturl()} in plain text: use https://, or an "
                "address of this machine",
                WRONG_USAGE,
            )
    if not arguments.exporters:
        return None
    return Access(
        list(dict.fromkeys(url.geturl() for url in arguments.exporters)),
        user,
        None if password_file is None else _password(password_file),
        _tls(arguments),
    )


def _password(path: Path) -> Secret:
    try:
        content = files.read(path, MAX_PASSWORD, "must name a file that holds only a password")
        password = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError("--exporter.password-file must name a file in UTF-8") from None
    except ValueError as error:
        raise CommandError(f"--exporter.password-file {error}") from None
    if not password:
        raise CommandError("--exporter.password-file must not name an empty file")
    return Secret(password)


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca_file, certificate = arguments.exporter_ca_file, arguments.exporter_cert_file
    if ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cadata=read_certificates(ca_file).decode())
        except ValueError as error:
            raise CommandError(f"--exporter.ca-file {error}") from None
    if certificate is not None:
        key = arguments.exporter_key_file
        try:
            for path in filter(None, (certificate, key)):
                files.require_regular(path)
            context.load_cert_chain(certificate, key, password=no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CommandError(
                f"--exporter.cert-file: {certificate}: not a certificate with its key: {reason}"
            ) from None
    return context


def no_password() -> str:
    """Keep OpenSSL from asking at the terminal, where nothing else would go on meanwhile."""
    raise ValueError("the key must not be encrypted: there is no way to ask for a password")
