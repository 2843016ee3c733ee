"""The pages for people: every organization at a glance, and how each of its numbers came to be.

`table` has the lines that are asked for, `failing` what cannot be read, and
`troubles` what is wrong with the exporter. `detail` has one
organization whole, with its `days` and what `changes` between them. `bars` and `course` draw,
`formatting` makes text of numbers and times, `templates` are set up once for all pages, and
`html_pages` makes HTML of it all.
"""

from exporter.web.status.html_pages import StatusPages

__all__ = ["StatusPages"]
