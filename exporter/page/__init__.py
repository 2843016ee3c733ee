"""From lines to the bytes that a scrape sends.

`publisher` is the loop: it takes what is `pending`, makes the `rows` of those organizations,
applies the `limit`, and lets `blocks` join and compress what changed. `gzip_members` compresses
parts of a page so that they can be put together.
"""
