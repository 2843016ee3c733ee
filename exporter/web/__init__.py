"""The HTTP side: routes, content negotiation, the status page."""
