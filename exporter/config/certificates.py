"""The certificate authorities of a PEM file: what is checked of them is what a connection gets."""

from __future__ import annotations

import binascii
import re
import ssl
from pathlib import Path
from typing import Final

from exporter.base import files

MAX_BYTES: Final = 4_000_000  # the bundles of systems have 0.2 MB
TOO_LARGE: Final = "must not be larger than 4 MB"

_BEGIN = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")
# Base64 has no hyphen. With `.` in its place, a file of nothing but beginnings would take hours.
_CERTIFICATE = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----([^-]*)-----END \1-----")

DAMAGED: Final = "intact PEM certificates: one is cut off or damaged"


def read_certificates(path: Path) -> bytes:
    """Return the certificates of a PEM file, as `certificates` does.

    Raises ValueError with the rule that it breaks.
    """
    content = files.read(path, MAX_BYTES, TOO_LARGE)
    try:
        return certificates(content)
    except ValueError as error:
        raise ValueError(f"must name a file with {error}") from None


def certificates(content: bytes) -> bytes:
    """Return the PEM certificates, each once, without anything that stands around them.

    gRPC takes none of them where others only skip something: a byte order mark, or one that is
    damaged. And in place of none at all it takes authorities of its own. Raises ValueError with
    what there should be.
    """
    found = _CERTIFICATE.findall(content)
    if len(found) < len(_BEGIN.findall(content)):
        raise ValueError(DAMAGED)
    if not found:
        raise ValueError("PEM certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        each = dict.fromkeys(
            binascii.a2b_base64(b"".join(body.split()), strict_mode=True) for _, body in found
        )
        for der in each:  # of all at once, it would not let the event loop run meanwhile
            context.load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):
        raise ValueError(DAMAGED) from None
    if context.cert_store_stats()["x509"] != len(each):
        raise ValueError(DAMAGED)
    return "".join(map(ssl.DER_cert_to_PEM_cert, each)).encode()
