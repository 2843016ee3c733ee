"""What is used of aiohttp's server.

`aiohttp.web` would bring routers, files and WebSockets along, which nothing here serves.
"""

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion10, HttpVersion11
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server as HttpServer

__all__ = [
    "AbstractStreamWriter",
    "BaseRequest",
    "HttpServer",
    "HttpVersion10",
    "HttpVersion11",
    "LineTooLong",
    "RawRequestMessage",
    "RequestHandler",
    "Response",
    "StreamReader",
    "StreamResponse",
]
