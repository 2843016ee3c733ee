"""The HTTP side: connections, TLS, authentication, limits, routes.

`serving` joins the parts. `sockets` are listened at, and `server` accepts clients: `newcomers`
until they speak, then each a `connection`, one of all `connections`, within the `limits`. Each
request passes the `site`, with `auth`, and gets to its page by the `routes`, which stand below a
`location`; `hosts` are the names that they are reached by. Answers wait for `places`, and
`negotiation` chooses format and encoding of a scrape. `flags` are those of the command line.
`status` has the pages for people, `toolkit` the web configuration file.
"""
