"""Tokens that a client has without having logged in."""

from __future__ import annotations

import math

import grpc.aio

from exporter.api.client import BillingClient
from exporter.api.tokens import Token
from exporter.model import ApiKey


def hold(client: BillingClient, key_id: str, token: str) -> None:
    """Have a client hold a token, as if its key had logged in."""
    metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
    client._tokens._key(ApiKey(key_id)).token = Token(metadata, math.inf)
