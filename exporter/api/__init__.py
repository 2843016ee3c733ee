"""What may be asked of the billing API, and the asking.

`calls` has every call that there is; `billing` is the interface that the other rooms use.
`client` makes the calls over gRPC, each with its deadline, on a `channel` that is open while it is
used; `failures` says what one that failed means. `wire` counts what an answer is made of before it
is decoded, and `connections` ends those that bring much more than answers. `tokens` has a token for
each key, and knows when a key logs in for one; `claims` reads what a token says of itself, and
`key_files` has the keys as they are now.
`retries` says when a call that failed is made again. `route` says how the API is reached: through
which `proxy`, and whose certificates are trusted. `exchange` keeps what a server sends besides an
answer.
"""
