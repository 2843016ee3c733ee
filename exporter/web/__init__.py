"""The HTTP side: connections, TLS, authentication, limits, routes.

`serving` joins the parts. `sockets` are listened at, and `server` accepts clients: `newcomers`
until they speak, then each a `connection`, one of all `connections`, within the `limits`. Each
request passes the `site`, with `auth`, and gets to its page by its path, of `paths`, and by the
`routes`, which stand below a `location`; `hosts` are the names that they are reached by, and the
`backend` is what they show, with `facts` about the exporter itself. Answers wait for `places`;
`negotiation` chooses their format and encoding, and `sending` takes its time. `refusals` are
answers without a page. `http` has what is used of aiohttp, and `flags` are those of the command
line.

`summary` is an organization in a line. The pages for people in `status` and the JSON in `api` are
both made of it. `toolkit` has the web configuration file.
"""
