"""Which format and which encoding a client gets, after RFC 9110, section 12.5.

Nothing that a client sends is an error: a client that asks for what we do not have, or
does not ask properly, gets the text format, uncompressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeVar

from exporter.metrics.render import Format
from exporter.page.pieces import Encoding

T = TypeVar("T")

# Name and version of each format, as a client asks for it.
NAMES: Mapping[Format, tuple[str, str]] = {
    Format.TEXT: ("text/plain", "0.0.4"),
    Format.OPENMETRICS: ("application/openmetrics-text", "1.0.0"),
}
CSV_OR_JSON: Mapping[bool, tuple[str, str]] = {
    False: ("application/json", ""),
    True: ("text/csv", ""),
}
QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
SCRAPERS = 16  # whose headers are remembered: each sends the same ones every time
MAX_HEADER_LENGTH = 1024  # what real clients send is a quarter of it
# Separators inside quotes do not separate. A quote that is not closed goes on to the end: to look
# for its end from each quote on would take as long as the header is, squared.
QUOTED = r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'
ITEM = re.compile(rf'(?:{QUOTED}|[^,"])+', re.DOTALL)
PARAMETER = re.compile(rf'(?:{QUOTED}|[^;"])+', re.DOTALL)


class Offer(NamedTuple):
    """One item of an Accept header."""

    value: str
    parameters: Mapping[str, str]
    quality: float


def _items(header: str) -> Iterator[Offer]:
    for item in ITEM.findall(header[:MAX_HEADER_LENGTH]):
        value, *rest = [part.strip() for part in PARAMETER.findall(item)] or [""]
        pairs = (parameter.partition("=") for parameter in rest)
        parameters = {
            name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs
        }
        quality = parameters.pop("q", "1")
        if QUALITY.fullmatch(quality):
            yield Offer(value.lower(), parameters, float(quality))


@lru_cache(maxsize=SCRAPERS)
def negotiate_format(accept: str) -> Format:
    """Return the format that an Accept header prefers, else the text format."""
    return _preferred(accept, NAMES)


def prefers_csv(accept: str) -> bool:
    """Tell whether an Accept header prefers CSV to JSON."""
    return _preferred(accept, CSV_OR_JSON)


def _preferred(accept: str, kinds: Mapping[T, tuple[str, str]]) -> T:
    """Return the kind that an Accept header prefers; of equals, and of none, the first."""
    offers = list(_items(accept))

    def preference(kind: T) -> tuple[float, int]:
        """Quality and precision of the most precise item that names the kind."""
        matching = [(_precision(offer, *kinds[kind]), offer.quality) for offer in offers]
        precision, quality = max((m for m in matching if m[0]), default=(0, 0.0))
        return quality, precision

    best = max(kinds, key=preference)
    return best if preference(best)[0] > 0 else next(iter(kinds))


def _precision(offer: Offer, name: str, version: str) -> int:
    """Return how precisely an item names a kind, 0 if it does not."""
    if offer.value == "*/*":
        return 1
    if offer.value == name.partition("/")[0] + "/*":
        return 2
    if offer.value != name:
        return 0
    if "version" not in offer.parameters:
        return 3
    return 4 if offer.parameters["version"] == version else 0


@lru_cache(maxsize=SCRAPERS)
def negotiate_encoding(accept_encoding: str) -> Encoding:
    """Return the content coding that an Accept-Encoding header prefers."""
    qualities = {offer.value: offer.quality for offer in _items(accept_encoding)}
    anything = qualities.get("*", 0.0)
    gzip = max(qualities.get("gzip", anything), qualities.get("x-gzip", 0.0))
    # Who does not name identity accepts it, but less than what he names.
    identity = qualities.get("identity", 0.0)
    return Encoding.GZIP if gzip > 0 and gzip >= identity else Encoding.IDENTITY
