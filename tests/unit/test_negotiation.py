"""Content negotiation, after RFC 9110, section 12.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.render import Format
from exporter.page.pieces import Encoding
from exporter.web.negotiation import ITEM, PARAMETER, negotiate_encoding, negotiate_page

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS
IDENTITY, GZIP = Encoding.IDENTITY, Encoding.GZIP

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
# With native histograms, which it takes in protobuf only.
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        (BROWSER, TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF, OPENMETRICS),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain;version=1.0.0;q=0.5,application/openmetrics-text;q=0.4", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", OPENMETRICS),
        ('application/openmetrics-text;version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/*", OPENMETRICS),
        ("application/openmetrics-text,*/*", OPENMETRICS),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.4", OPENMETRICS),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text;q=0,*/*", TEXT),
        ("text/plain;q=0,*/*", OPENMETRICS),
        ("text/plain;q=0", TEXT),
        ("application/json", TEXT),
        ("application/openmetrics-text;q=2", TEXT),
        ("application/openmetrics-text;q=x,text/plain;q=0.1", TEXT),
        (";;;,,,=;q", TEXT),
        ('"', TEXT),
        ('text/html;a="x,application/openmetrics-text"', TEXT),
    ],
)
def test_format(accept: str, expected: Format) -> None:
    """The most precise item that names a format decides its quality; the best format wins."""
    assert negotiate_page(accept).form is expected


PLAIN = "text/plain; version=0.0.4; charset=utf-8"
PLAIN_1 = "text/plain; version=1.0.0; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", PLAIN),
        ("text/plain", PLAIN),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", PLAIN),
        ("text/plain;version=1.0.0", PLAIN_1),
        ("text/plain;version=1.0.0;escaping=values", f"{PLAIN_1}; escaping=values"),
        (PROMETHEUS_2, OPEN),
        (PROMETHEUS_3, f"{OPEN}; escaping=allow-utf-8"),
        (PROMETHEUS_3_PROTOBUF, f"{OPEN}; escaping=allow-utf-8"),
        (PROMETHEUS_3.replace("allow-utf-8", "underscores"), f"{OPEN}; escaping=underscores"),
        (PROMETHEUS_3.replace("allow-utf-8", "values"), f"{OPEN}; escaping=values"),
        (PROMETHEUS_3.replace("allow-utf-8", "dots"), f"{OPEN}; escaping=underscores"),
        (PROMETHEUS_3.replace("allow-utf-8", "x"), f"{OPEN}; escaping=underscores"),
    ],
)
def test_content_type(accept: str, expected: str) -> None:
    """It names the version, and how names are escaped where the client asked about that.

    A way that would change our names is not used: the answer says so.
    """
    assert negotiate_page(accept).content_type == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", IDENTITY),
        ("gzip", GZIP),
        ("GZIP", GZIP),
        ("x-gzip", GZIP),
        ("gzip, deflate, br, zstd", GZIP),
        ("gzip;q=0", IDENTITY),
        ("gzip;q=0.000", IDENTITY),
        ("gzip;q=0,*", IDENTITY),
        ("*", GZIP),
        ("*;q=0", IDENTITY),
        ("identity", IDENTITY),
        ("deflate, br", IDENTITY),
        ("gzip;q=0.5, identity;q=0.6", IDENTITY),
        ("gzip;q=0.5, identity;q=0.5", GZIP),
        ("identity;q=0, gzip;q=0", IDENTITY),
        ("gzip;q=nonsense", IDENTITY),
    ],
)
def test_encoding(accept_encoding: str, expected: Encoding) -> None:
    """Gzip where it is accepted and identity is not preferred."""
    assert negotiate_encoding(accept_encoding) is expected


@given(st.text(st.characters(max_codepoint=255), max_size=2000))
def test_no_header_is_an_error(header: str) -> None:
    """Whatever a client sends, it gets an answer."""
    assert negotiate_page(header).form in Format
    assert negotiate_encoding(header) in Encoding


def test_a_quote_that_is_not_closed_is_looked_at_once() -> None:
    """A header full of them took as long as it is, squared."""
    for header in ('"' * 20_001, '"\\' * 10_001, '"' + "\\" * 20_001):
        assert ITEM.findall(header) == [header]
        assert PARAMETER.findall(header) == [header]
        assert negotiate_page(header).form is TEXT
