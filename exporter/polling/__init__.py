"""When to ask and for whom, asking, and taking the answers in.

`poller` asks when the `schedule` says so; polls whose key has to log in wait in `logins`, and those
with `long_answers` for each other. `answers` turns the bytes of an answer into what is kept of it,
and of the counters and days with it; `intake` brings that into the store, which nobody else writes.
`discovery` finds out which organizations there are, with `key_records` of how each key fares, and
`sharding` says which of them are polled here.
"""
