"""What may be asked of the billing API, and the asking.

`calls` has every call that there is; `billing` is what the rest needs of the API, whoever answers.
`client` makes the calls over gRPC: tokens (one that is refused is replaced there), deadlines, and
what a failure means. `retries` says when a call that failed is made again. `route` says how the
API is reached: through which `proxy`, and whose certificates are trusted.
"""
