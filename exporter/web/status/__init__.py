"""The pages for people: every organization at a glance, and how each of its numbers came to be.

`table` has the lines that are asked for, `detail` one organization whole with its `days`,
`formatting` numbers and times as text, and `html_pages` makes HTML of it.
"""

from exporter.web.status.html_pages import StatusPages

__all__ = ["StatusPages"]
