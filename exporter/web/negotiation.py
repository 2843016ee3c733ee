"""Which format and which encoding a client gets, after RFC 9110, section 12.5.

Nothing that a client sends is an error: a client that asks for what we do not have, or
does not ask properly, gets the text format, uncompressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from exporter.metrics.render import Format
from exporter.page.pieces import Encoding


class Kind(NamedTuple):
    """What a client may ask for by name, and by version if it has any."""

    name: str
    version: str = ""


# The kinds of page. A page in the text format is the same in both versions: the second differs in
# names that need quotes, and ours need none.
PAGES: Final[Mapping[Kind, Format]] = {
    Kind("text/plain", "0.0.4"): Format.TEXT,
    Kind("application/openmetrics-text", "1.0.0"): Format.OPENMETRICS,
    Kind("text/plain", "1.0.0"): Format.TEXT,
}
JSON: Final = Kind("application/json")
CSV: Final = Kind("text/csv")
# The version of both formats that tells how names are escaped, and the ways that leave ours alone.
ESCAPING: Final = "1.0.0"
UNCHANGED: Final = ("underscores", "allow-utf-8", "values")
QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
SCRAPERS = 16  # whose headers are remembered: each sends the same ones every time
MAX_HEADER_LENGTH = 1024  # what real clients send is less than half of it
# Separators inside quotes do not separate. A quote that is not closed goes on to the end: to look
# for its end from each quote on would take as long as the header is, squared.
QUOTED = r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'
ITEM = re.compile(rf'(?:{QUOTED}|[^,"])+', re.DOTALL)
PARAMETER = re.compile(rf'(?:{QUOTED}|[^;"])+', re.DOTALL)


class Offer(NamedTuple):
    """One item of an Accept header."""

    value: str = ""
    parameters: Mapping[str, str] = {}
    quality: float = 0.0


class Answer(NamedTuple):
    """What a scrape is sent."""

    form: Format
    content_type: str


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
def negotiate_page(accept: str) -> Answer:
    """Return what an Accept header prefers, else the text format."""
    kind, offer = _preferred(accept, PAGES)
    content_type = f"{kind.name}; version={kind.version}; charset=utf-8"
    escaping = offer.parameters.get("escaping")
    if escaping is not None and kind.version == ESCAPING:
        # "dots" would double each underscore. Prometheus takes another way, if it is told which.
        content_type += f"; escaping={escaping if escaping in UNCHANGED else UNCHANGED[0]}"
    return Answer(PAGES[kind], content_type)


def prefers_csv(accept: str) -> bool:
    """Tell whether an Accept header prefers CSV to JSON."""
    kind, _ = _preferred(accept, (JSON, CSV))
    return kind is CSV


def _preferred(accept: str, kinds: Iterable[Kind]) -> tuple[Kind, Offer]:
    """Return the kind that an Accept header prefers, and the item that names it.

    Of equals, and of none, the first.
    """
    offers = list(_items(accept))

    def named(kind: Kind) -> tuple[float, int, Offer]:
        """Return quality and precision of the most precise item that names the kind."""
        matching = [(_precision(offer, kind), offer) for offer in offers]
        precision, offer = max(
            (each for each in matching if each[0]),
            key=lambda each: (each[0], each[1].quality),
            default=(0, Offer()),
        )
        return offer.quality, precision, offer

    found = [(kind, *named(kind)) for kind in kinds]
    best, quality, _, offer = max(found, key=lambda each: each[1:3])
    return (best, offer) if quality > 0 else (found[0][0], Offer())


def _precision(offer: Offer, kind: Kind) -> int:
    """Return how precisely an item names a kind, 0 if it does not."""
    if offer.value == "*/*":
        return 1
    if offer.value == kind.name.partition("/")[0] + "/*":
        return 2
    if offer.value != kind.name:
        return 0
    if "version" not in offer.parameters:
        return 3
    return 4 if offer.parameters["version"] == kind.version else 0


@lru_cache(maxsize=SCRAPERS)
def negotiate_encoding(accept_encoding: str) -> Encoding:
    """Return the content coding that an Accept-Encoding header prefers."""
    qualities = {offer.value: offer.quality for offer in _items(accept_encoding)}
    anything = qualities.get("*", 0.0)
    gzip = max(qualities.get("gzip", anything), qualities.get("x-gzip", 0.0))
    # Who does not name identity accepts it, but less than what he names.
    identity = qualities.get("identity", 0.0)
    return Encoding.GZIP if gzip > 0 and gzip >= identity else Encoding.IDENTITY
