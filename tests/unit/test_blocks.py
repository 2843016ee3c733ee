"""How the lines of organizations become the page, block by block."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from random import Random
from types import FunctionType, MappingProxyType, MethodType, ModuleType

from exporter.metrics.catalog import SPECS
from exporter.metrics.render import Format
from exporter.page.blocks import BLOCK, Blocks
from exporter.page.limit import Limit
from exporter.page.organization_lines import GROUPS, OrganizationLines
from exporter.page.part import MAX_JOINED
from exporter.page.pieces import SMALL, Encoding, bodies
from support.reader import config, organization
from support.rig import Rig
from support.virtual import run

FAMILIES = range(len(SPECS))
PER_INVOICE = next(family for family in FAMILIES if SPECS[family].per_invoice)


def put(blocks: Blocks, known: dict[str, dict[int, bytes]], org_id: str, **texts: bytes) -> bool:
    """Give an organization lines of families, named f0, f1 and so on, here and there."""
    of = {int(name[1:]): text for name, text in texts.items()}
    if org_id not in known:
        of = dict.fromkeys(FAMILIES, b"") | of
    known.setdefault(org_id, {}).update(of)
    lines = sum(text.count(b"\n") for text in known[org_id].values())
    counts = (lines, *[0] * (len(GROUPS) - 1))
    return blocks.put(OrganizationLines(organization(org_id), (), counts, 0), of)


def check(blocks: Blocks, known: Mapping[str, Mapping[int, bytes]], limit: Limit) -> None:
    """Compare the page, plain and compressed, with what it should be."""
    blocks.withhold(limit)
    blocks.arrange()
    blocks.build()
    page = bodies(blocks.page_pieces(Format.TEXT))
    plain = b"".join(page[Encoding.IDENTITY].chunks)
    lines = b"".join(plain.splitlines(keepends=True)).split(b"\n")
    shown = sorted(known)[: len(known) - limit.organizations]
    expected = b"".join(
        known[org_id][family]
        for family in FAMILIES
        if not (limit.without_invoices and SPECS[family].per_invoice)
        for org_id in shown
    )
    assert b"\n".join(line for line in lines if not line.startswith(b"#")) == expected
    assert zlib.decompress(b"".join(page[Encoding.GZIP].chunks), 31) == plain


def test_the_page_has_the_lines_that_were_put_last_whatever_came_and_went() -> None:
    """Organizations come, change, are withheld, shown again and leave, and move between blocks."""
    rng, blocks = Random(1), Blocks()
    known: dict[str, dict[int, bytes]] = {}
    for turn in range(25):
        for _ in range(rng.choice([1, 20, BLOCK])):
            org_id = f"{rng.randrange(3 * BLOCK):04}"
            text = b"x %d\n" % rng.randrange(3) * rng.randrange(3)
            put(blocks, known, org_id, **{f"f{rng.choice((0, 7, PER_INVOICE))}": text})
        if turn % 3 == 0:
            for org_id in rng.sample(sorted(known), len(known) // 5):
                del known[org_id]
                assert blocks.remove(org_id)
                if rng.random() < 0.5:  # it is back before the page is made
                    put(blocks, known, org_id, f0=b"back 1\n")
        withheld = rng.choice([0, 0, 1, len(known) // 2])
        check(blocks, known, Limit(rng.random() < 0.3, withheld))


def test_long_lines_stay_apart_and_the_page_is_the_same() -> None:
    """A part of a block that becomes too long to be joined, and short again."""
    blocks = Blocks()
    known: dict[str, dict[int, bytes]] = {}
    for org_id in "abc":
        put(blocks, known, org_id, f0=b"short 1\n", f1=b"other 1\n")
    check(blocks, known, Limit())
    put(blocks, known, "b", f0=b"long 1\n" * (MAX_JOINED // 7 + 1))
    check(blocks, known, Limit())
    put(blocks, known, "c", f0=b"")
    check(blocks, known, Limit())
    put(blocks, known, "b", f0=b"short 2\n")
    check(blocks, known, Limit())


def test_what_is_put_tells_whether_the_number_of_series_changed() -> None:
    """The limit is applied again only then."""
    blocks = Blocks()
    known: dict[str, dict[int, bytes]] = {}
    assert put(blocks, known, "a", f0=b"x 1\n")
    check(blocks, known, Limit())
    assert not put(blocks, known, "a", f0=b"x 2\n")
    assert put(blocks, known, "a", f0=b"x 2\nx 3\n")


def held(each: object) -> Iterable[object]:
    """Return what an object refers to, as Python code does.

    The garbage collector has other answers in other Pythons, such as the constants of code.
    """
    match each:
        case type() | ModuleType():
            found: Iterable[object] = ()
        case dict() | MappingProxyType():
            found = (*each.keys(), *each.values())
        case list() | tuple() | set() | frozenset() | deque():
            found = each
        case partial():
            found = (each.func, *each.args, *each.keywords.values())
        case MethodType():
            found = (each.__self__,)
        case FunctionType():
            found = [cell.cell_contents for cell in each.__closure__ or ()]
        case memoryview():
            found = (each.obj,)
        case _:
            slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
            attributes = [getattr(each, name) for name in slots if hasattr(each, name)]
            found = (*attributes, *getattr(each, "__dict__", {}).values())
    return found


def test_each_line_is_in_memory_once() -> None:
    """Not by itself, or with its organization's, beside the page."""
    rig = Rig(config(*(organization(f"{n:03}", interval=1e6) for n in range(250))))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            known: dict[int, object] = {}
            found: list[object] = [rig.publisher, rig.store, rig.intake]
            while found:
                each = found.pop()
                if id(each) not in known:
                    known[id(each)] = each
                    found += held(each)
            buffers = [each for each in known.values() if isinstance(each, bytes)]
            lines = [each for each in buffers if b'{org_id="' in each]
            page = rig.publisher.page.bodies[Format.TEXT, Encoding.IDENTITY]
            assert page.length > SMALL
            chunks = [bytes(chunk) for chunk in page.chunks]
            assert sorted(lines) == sorted(each for each in chunks if b'{org_id="' in each)

    run(scenario())
