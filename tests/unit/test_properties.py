"""What holds for every message that the API's types allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import render
from exporter.metrics.catalog import COLLECTORS, Collector
from exporter.metrics.extract.values import MAX_LABEL_LENGTH, shorten
from exporter.metrics.render import Format
from exporter.metrics.samples import apply
from exporter.model import ORG, InvoiceDetail, Metric, Sample
from exporter.pb import billing_pb2 as pb
from support.messages import messages
from support.reader import organization

NOW = st.sampled_from([0.0, 1_795_435_200.0])
WHOSE = (organization().id, organization().name)
DETAILS = st.builds(InvoiceDetail, st.sampled_from(["none", "open", "all"]), st.integers(0, 5))

ANSWERS = st.sampled_from(COLLECTORS).flatmap(
    lambda collector: st.tuples(st.just(collector), messages(collector.message))
)


Families = Sequence[tuple[Metric, Sequence[Sample]]]


def families(
    collector: Collector[Any, Any], answer: Any, now: float, detail: InvoiceDetail
) -> Families:
    """Return the samples that a collector makes of an answer, with their metrics."""
    view = collector.view(answer, now, detail)
    return [(spec, apply(spec, view)[0]) for spec in collector.specs]


@given(ANSWERS, NOW, DETAILS)
@settings(max_examples=400)
def test_no_answer_breaks_an_extractor_or_makes_a_series_twice(
    case: tuple[Collector[Any, Any], Any], now: float, detail: InvoiceDetail
) -> None:
    """Whatever comes, there are only finite samples, sorted, of distinct label sets."""
    for _, samples in families(*case, now, detail):
        labels = [labels for labels, _ in samples]
        assert labels == sorted(set(labels))
        assert all(math.isfinite(value) for _, value in samples)


@given(ANSWERS, NOW, DETAILS)
@settings(max_examples=200)
def test_lines_are_those_of_the_samples(
    case: tuple[Collector[Any, Any], Any], now: float, detail: InvoiceDetail
) -> None:
    """The short way to the only sample of a metric leads where the one for all metrics does."""
    collector, answer = case
    view = collector.view(answer, now, detail)
    made = render.lines(collector.specs, organization(), view)
    withheld: Counter[str] = Counter()
    for spec, text in zip(collector.specs, made.texts, strict=True):
        samples, reasons = apply(spec, view)
        assert text == render.fragment(spec, organization(), samples)
        withheld.update(reasons)
        several = len(spec.labels) > len(ORG)  # of which those that are 0 are left out
        figures = {
            render.figure(spec.name, *labels): value
            for labels, value in samples
            if spec.figure and (value or not several)
        }
        kept = {each for each in made.figures if each.split("/")[0] == spec.name}
        assert {each: made.figures[each] for each in kept} == figures
    assert made.withheld == withheld


@given(ANSWERS, NOW, DETAILS)
@settings(max_examples=200)
def test_the_page_parses_back_to_the_same_samples(
    case: tuple[Collector[Any, Any], Any], now: float, detail: InvoiceDetail
) -> None:
    """Prometheus' own parsers read from both formats what was written, to the last bit."""
    made = [(spec, samples) for spec, samples in families(*case, now, detail) if samples]
    expected = Counter(
        (
            spec.name,
            frozenset(zip(spec.labels, (*WHOSE, *labels), strict=True)),
            value,
        )
        for spec, samples in made
        for labels, value in samples
    )
    for form, parse in ((Format.TEXT, parse_text), (Format.OPENMETRICS, parse_openmetrics)):
        end = b"# EOF\n" if form is Format.OPENMETRICS else b""
        page = b"".join(
            render.header(spec, form) + render.fragment(spec, organization(), samples)
            for spec, samples in made
        )
        read = Counter(
            (sample.name, frozenset(sample.labels.items()), sample.value)
            for family in parse((page + end).decode())
            for sample in family.samples
        )
        assert read == expected


@given(ANSWERS, NOW, DETAILS)
@settings(max_examples=200)
def test_what_is_kept_of_an_answer_makes_the_same_samples(
    case: tuple[Collector[Any, Any], Any], now: float, detail: InvoiceDetail
) -> None:
    """It lacks only what samples are not made of, and no text of it is longer than a label."""
    collector, answer = case
    expected = families(collector, answer, now, detail)
    kept = collector.message.FromString(shorten(collector.keep(answer)).SerializeToString())
    assert families(collector, kept, now, detail) == expected
    assert max(map(len, texts(kept)), default=0) <= MAX_LABEL_LENGTH


def texts(message: Message) -> Iterator[str]:
    """Yield all texts in a message."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, str):
                yield each
            elif isinstance(each, Message):
                yield from texts(each)


@given(messages(pb.GetCurrentMonthUsageResponse))
@settings(max_examples=200)
def test_no_cost_is_lost(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """The costs on the page sum up to those in the answer, withheld label sets aside."""
    lines = [
        cost
        for source in answer.resource_usage_costs_by_source
        for cost in source.resource_usage_costs.usage_costs
    ]
    for number, cost in enumerate(lines):  # cents of any sign, so that every sum is a number
        cost.cost = math.fmod(cost.cost, 1e6) if math.isfinite(cost.cost) else number / 100
    assume(lines)
    _, samples = families(COLLECTORS[0], answer, 0.0, InvoiceDetail())[0]
    shown = math.fsum(value for _, value in samples)
    assert math.isclose(shown, math.fsum(cost.cost for cost in lines), abs_tol=1e-6)
