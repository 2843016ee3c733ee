"""The pages for people: every organization at a glance, and how each of its numbers came to be.

`summary` is an organization in a line, `table` the lines that are asked for, `detail` one
organization whole, `forecast` where its month will end, `words` numbers and times as text, and
`pages` makes HTML of it.
"""

from exporter.web.status.pages import StatusPages

__all__ = ["StatusPages"]
