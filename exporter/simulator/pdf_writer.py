"""A small PDF of lines of text, put together by hand: every viewer opens it."""

from __future__ import annotations

from collections.abc import Sequence

LINES_PER_PAGE = 50
_PAGE_TREE = 2  # object numbers; each page is followed by its content
_FONT = 3
_FIRST_PAGE = 4


def document(lines: Sequence[str]) -> bytes:
    """Return a PDF 1.4 file showing `lines`, 50 on a page.

    The font is Helvetica, which viewers bring along, and the encoding Windows-1252: characters
    beyond it become question marks. The same lines give the same bytes.
    """
    pages = [lines[i : i + LINES_PER_PAGE] for i in range(0, len(lines), LINES_PER_PAGE)] or [[]]
    numbers = [_FIRST_PAGE + 2 * i for i in range(len(pages))]
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages %d 0 R >>" % _PAGE_TREE,
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in zip(numbers, pages, strict=True):
        content = _content(page)
        objects += [
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792]"
            b" /Resources << /Font << /F1 %d 0 R >> >> /Contents %d 0 R >>"
            % (_PAGE_TREE, _FONT, number + 1),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    return _file(objects)


def _content(lines: Sequence[str]) -> bytes:
    shown = b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in lines)
    return b"BT /F1 11 Tf 14 TL 54 738 Td\n%sET" % shown


def _escaped(line: str) -> bytes:
    line = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return line.encode("cp1252", "replace")


def _file(objects: Sequence[bytes]) -> bytes:
    """Return the objects, numbered from 1, as a file: header, body, cross-references, trailer."""
    # The comment of high bytes tells transfer programs that the file is not text.
    parts = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    offsets = []
    size = len(parts[0])
    for number, content in enumerate(objects, start=1):
        offsets.append(size)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        size += len(parts[-1])
    # An entry has exactly 20 bytes, therefore the space before the line's end.
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, entries))
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, size))
    return b"".join(parts)
