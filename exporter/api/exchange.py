"""What a server sends besides the message that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc.aio

T = TypeVar("T")


@dataclass(slots=True)
class Exchange:
    """Takes the headers and trailers of a call, for a caller that wants to see them.

    They are as the server sent them, and may hold anything.
    """

    metadata: Sequence[tuple[str, str | bytes]] = ()

    async def observe(self, call: grpc.aio.UnaryUnaryCall[Any, T]) -> T:
        """Return what a call returns, and keep what came with it. Raises what the call raises."""
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self.metadata = (*(error.initial_metadata() or ()), *(error.trailing_metadata() or ()))
            raise
        self.metadata = (
            *(await call.initial_metadata() or ()),
            *(await call.trailing_metadata() or ()),
        )
        return answer
