"""Answers without a page: they say why in words, and repeat nothing of the request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from exporter.web.http import Response

TEXTS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "bad request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method not allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "a request must not have a body",
    HTTPStatus.MISDIRECTED_REQUEST: (
        #: The page was answered with 421: [host names](web.md#host-names).
        "this host name is not allowed: add it with --web.allowed-host"
    ),
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "request line or header too long",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal server error",
    HTTPStatus.SERVICE_UNAVAILABLE: "too many requests in flight",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "HTTP version not supported",
}


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """That there is no page for a request: a status, and why where that says too little."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        closes: bool = False,
    ) -> None:
        """`closes` is set where what follows on the connection is no request."""
        super().__init__(message)
        self.status = status
        self.message = message or TEXTS[status]
        self.headers = headers
        self.closes = closes

    def response(self, *, as_json: bool) -> Response:
        """Return it as an answer: JSON below /api/, plain text elsewhere."""
        text = json.dumps({"error": self.message}) if as_json else self.message
        response = Response(
            status=self.status,
            body=f"{text}\n".encode(),
            content_type="application/json" if as_json else "text/plain",
            charset=None if as_json else "utf-8",
            headers=self.headers,
        )
        if self.closes:
            response.force_close()
        return response


def busy() -> Refusal:
    """Return that there is no room at the moment."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
