"""The bytes of a page, with the Prometheus client library as the oracle."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as PrometheusMetric
from prometheus_client.exposition import generate_latest as text_oracle
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_oracle
from prometheus_client.utils import floatToGoString

from exporter.metrics import render
from exporter.metrics.render import Format
from exporter.model import Metric, MetricType, Organization, Sample
from exporter.page.pieces import SMALL, Encoding, bodies, joined, piece
from support.reader import organization

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.floats(width=64)


class Family(NamedTuple):
    """What one organization has of a metric."""

    spec: Metric
    organization: Organization
    samples: Sequence[Sample]
    extra: tuple[tuple[str, str], ...]


@st.composite
def families(draw: st.DrawFn) -> list[Family]:
    """Return families with any names, help texts, label values and sample values."""
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        kind = draw(st.sampled_from([MetricType.GAUGE, MetricType.COUNTER]))
        suffix = draw(st.sampled_from(["", "_usd", "_seconds"]))
        suffix += "_total" if kind is MetricType.COUNTER else ""
        labels = ("org_id", "org_name", *draw(st.lists(NAMES, max_size=3, unique=True)))
        spec = Metric(f"x_{name}{suffix}", draw(TEXTS), labels, kind)
        values = st.tuples(*[TEXTS] * (len(labels) - 2))
        extra = tuple((f"zz_{n}", draw(TEXTS)) for n in range(draw(st.integers(0, 2))))
        count = draw(st.integers(1, 3))
        samples = [(draw(values), draw(VALUES)) for _ in range(count)]
        whose = organization(draw(TEXTS), name=draw(TEXTS))
        made.append(Family(spec, whose, samples, extra))
    return made


class Oracle:
    """The same families, as the client library collects them."""

    def __init__(self, made: Sequence[Family]) -> None:
        self._made = made

    def collect(self) -> Iterator[PrometheusMetric]:
        """Yield the families."""
        for family in self._made:
            spec = family.spec
            metric = PrometheusMetric(spec.family, spec.help, spec.type, spec.unit)
            for own, value in family.samples:
                labels = (family.organization.id, family.organization.name, *own)
                pairs = [*zip(spec.labels, labels, strict=True), *family.extra]
                metric.add_sample(spec.name, dict(pairs), value)
            yield metric


@given(families())
def test_bytes_are_those_of_the_client_library(made: list[Family]) -> None:
    """For the same families, both formats are byte-identical to the client library's."""
    registry = CollectorRegistry()
    registry.register(Oracle(made))
    for form, expected in (
        (Format.TEXT, text_oracle(registry)),
        (Format.OPENMETRICS, openmetrics_oracle(registry).removesuffix(b"# EOF\n")),  # type: ignore[no-untyped-call]
    ):
        page = b"".join(render.header(f.spec, form) + render.fragment(*f) for f in made)
        assert page == expected


@given(VALUES)
def test_numbers_are_written_as_the_client_library_does(value: float) -> None:
    """Including infinities, NaN, negative zero and large numbers."""
    assert render.number(value) == floatToGoString(value)  # type: ignore[no-untyped-call]


@given(VALUES.filter(math.isfinite))
def test_numbers_survive_writing(value: float) -> None:
    """What is read back is the same double, so cents never move."""
    assert float(render.number(value)) == value


@given(st.lists(st.binary(max_size=300), max_size=6), st.sampled_from([b"", b"x" * SMALL]))
def test_a_compressed_body_is_one_gzip_member(parts: list[bytes], more: bytes) -> None:
    """Many clients stop after the first member: ours is the last, and its checksum is right."""
    parts.append(more)
    end = piece(b"# EOF\n")
    made = bodies(
        [
            joined(map(piece, parts[:3])),
            *map(piece, parts[3:]),
            end,
        ]
    )
    whole = b"".join([*parts, b"# EOF\n"])
    plain, packed = made[Encoding.IDENTITY], made[Encoding.GZIP]
    assert b"".join(plain.chunks) == whole
    assert plain.length == len(whole)
    member = b"".join(packed.chunks)
    assert packed.length == len(member)
    assert gzip.decompress(member) == whole
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(member) == whole
    assert reader.eof
    assert reader.unused_data == b""


def test_parts_are_put_together_again_after_one_of_them_changed() -> None:
    """Those that stayed are compressed no second time, whatever they were put together with."""
    stays, large = piece(b"stays"), piece(b"x" * SMALL)
    for other in (b"first", b"second", b""):
        made = bodies([joined([joined([stays, piece(other)]), large])])
        assert (
            gzip.decompress(b"".join(made[Encoding.GZIP].chunks))
            == b"stays" + other + large.plain[0]
        )


def test_a_small_page_is_compressed_as_well_as_others_do() -> None:
    """Many small parts, each compressed by itself, would be more than twice as long."""
    parts = [
        piece(b"".join(b'metric_%d{org_id="%d"} %d\n' % (n, o, n * o) for o in range(9)))
        for n in range(90)
    ]
    made = bodies(parts)
    whole = b"".join(made[Encoding.IDENTITY].chunks)
    assert made[Encoding.GZIP].length <= 1.2 * len(zlib.compress(whole, 6))
    assert sum(len(part.deflated().buffer) for part in parts) > 2 * len(zlib.compress(whole, 6))


@pytest.mark.parametrize(
    ("name", "kind", "unit", "family"),
    [
        ("a_usd", MetricType.GAUGE, "usd", "a_usd"),
        ("a_usd_total", MetricType.COUNTER, "usd", "a_usd"),
        ("a_timestamp_seconds", MetricType.GAUGE, "seconds", "a_timestamp_seconds"),
        ("a_total", MetricType.COUNTER, "", "a"),
        ("a_info", MetricType.GAUGE, "", "a_info"),
    ],
)
def test_names_say_the_unit(name: str, kind: MetricType, unit: str, family: str) -> None:
    """Names in _usd have the unit usd, names in _seconds the unit seconds."""
    metric = Metric(name, "Help.", type=kind)
    assert (metric.unit, metric.family) == (unit, family)
    header = render.header(metric, Format.OPENMETRICS).decode()
    assert (f"# UNIT {family} {unit}\n" in header) == bool(unit)
    assert "# UNIT" not in render.header(metric, Format.TEXT).decode()
