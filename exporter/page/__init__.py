"""From lines to the bytes that a scrape sends.

`publisher` is the loop: it takes what is `pending`, makes the lines of those organizations
(`organization_lines`), applies the `limit`, and lets `blocks` join and compress what changed. A
block has a `part` for each family. `pieces` are parts of a page, compressed so that they can be put
together.
"""
