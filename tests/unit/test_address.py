"""Addresses to listen at."""

from __future__ import annotations

import pytest

from exporter.base.address import Address


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        (":8426", Address("", 8426), False),
        ("0.0.0.0:8426", Address("0.0.0.0", 8426), False),
        ("[::]:8426", Address("::", 8426), False),
        ("192.0.2.1:80", Address("192.0.2.1", 80), False),
        ("exporter.example:65535", Address("exporter.example", 65535), False),
        ("127.0.0.1:0", Address("127.0.0.1", 0), True),
        ("127.8.8.8:1", Address("127.8.8.8", 1), True),
        ("LocalHost:8426", Address("LocalHost", 8426), True),
        ("[::1]:8426", Address("::1", 8426), True),
        ("[fe80::1%eth0]:8426", Address("fe80::1%eth0", 8426), False),
    ],
)
def test_an_address_reads_and_writes_alike(
    text: str, address: Address, *, is_loopback: bool
) -> None:
    """And tells whether anybody else reaches it."""
    assert Address.parse(text) == address
    assert str(address) == text
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize(
    "text", ["", "8426", "::1:8426", "[::1]", "a:b", "a:65536", "a:123456", "a/b:1", "http://a:1"]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    """With the ways to write one."""
    with pytest.raises(ValueError, match="not an address: write host:port") as caught:
        Address.parse(text)
    assert repr(text) in str(caught.value)
