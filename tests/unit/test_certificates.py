"""Files of certificate authorities."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import certificates, read_certificates
from support.certificates import Authority
from support.process import ROOT

PEM = (ROOT / "tests" / "config" / "ca.pem").read_bytes()
BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
CLEAN = PEM[PEM.index(BEGIN) : PEM.index(END) + len(END)]
BODY = CLEAN.removeprefix(BEGIN).removesuffix(END)
MARK = b"\xef\xbb\xbf"

GOOD = {
    "as it is": CLEAN,
    "byte order mark": MARK + CLEAN,
    "mark in the middle": CLEAN + MARK + CLEAN,
    "CRLF": CLEAN.replace(b"\n", b"\r\n"),
    "text around": b"# The proxy's own\n" + CLEAN + b"\nissued by: IT \xff\n",
    "no line end between two": CLEAN.rstrip() + CLEAN,
    "one long line": BEGIN + BODY.replace(b"\n", b"") + b"\n" + END,
    "old name": CLEAN.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
    "a key beside it": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + CLEAN,
}
DAMAGED = {
    "cut off": CLEAN + CLEAN[: len(CLEAN) // 2],
    "cut off before another": CLEAN[: len(CLEAN) // 2] + CLEAN,
    "not base64": CLEAN + BEGIN + b"!" + BODY[1:] + END,
    "no certificate in it": CLEAN + BEGIN + b"AAAA\n" + END,
    "something after it": BEGIN + BODY.rstrip(b"=\n") + b"AAAA\n" + END,
    "nothing in it": CLEAN + BEGIN + END,
    "nothing but beginnings": BEGIN * 100_000,
}


@pytest.mark.parametrize("form", GOOD)
def test_certificates_are_taken_out_of_what_stands_around_them(form: str) -> None:
    """So that gRPC is given what was found here, and nothing that it would stumble over."""
    assert certificates(GOOD[form]) == CLEAN


@pytest.mark.parametrize("form", DAMAGED)
def test_a_damaged_certificate_is_refused_beside_a_good_one(form: str, tmp_path: Path) -> None:
    """It would not be trusted, whatever else is in the file, and gRPC would trust none of them."""
    file = tmp_path / "ca.pem"
    file.write_bytes(DAMAGED[form])
    with pytest.raises(
        ValueError, match=r"^must name a file with intact PEM .* is cut off or damaged$"
    ):
        read_certificates(file)


@pytest.mark.parametrize("content", [b"", MARK, b"\n", CLEAN.decode().encode("utf-16")])
def test_a_file_without_certificates_is_refused(content: bytes, tmp_path: Path) -> None:
    """In its place gRPC would trust the authorities that it ships."""
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"^must name a file with PEM certificates$"):
        read_certificates(file)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """Whatever is in it: a wrong path may lead to anything."""
    file = tmp_path / "ca.pem"
    file.write_bytes(CLEAN + b"\n" * 4_000_000)
    with pytest.raises(ValueError, match=r"^must not be larger than 4 MB$"):
        read_certificates(file)


@given(st.lists(st.binary().filter(lambda junk: b"-----" not in junk), min_size=3, max_size=3))
def test_what_is_no_certificate_does_not_matter(junk: list[bytes]) -> None:
    """Before, between or after them."""
    assert certificates(b"\n".join([junk[0], CLEAN, junk[1], CLEAN, junk[2]])) == CLEAN


def test_several_keep_their_order(tmp_path: Path) -> None:
    """And each is there once."""
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    both = certificates(b"".join(each.crt.read_bytes() for each in (first, second, first)))
    assert both == first.crt.read_bytes() + second.crt.read_bytes()
    assert ssl.create_default_context(cadata=both.decode()).cert_store_stats()["x509_ca"] >= 1
