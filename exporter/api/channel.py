"""A gRPC channel that is open only while it is used.

While a channel is open, gRPC's own threads wake up ten to twenty times a second, whether it is
called or not. Without one they end, and the process sleeps until its next poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from exporter.api.calls import Rpc
from exporter.model import Clock

GRACE: Final = 0.1  # seconds without a call: what belongs together follows sooner
# Opening another takes some ten milliseconds of processor time with TLS, which is what gRPC's
# threads take in about so many seconds.
WORTH_KEEPING: Final = 10.0  # seconds until the next call


class Channel:
    """Opens a channel for a call, and closes it when the next one is not soon."""

    def __init__(
        self,
        open_one: Callable[[], grpc.aio.Channel],
        clock: Clock,
        next_call: Callable[[], float],
        opened: Callable[[], object],
    ) -> None:
        """`next_call` says when the next one is expected, on the monotonic clock.

        `opened` is called whenever a channel is opened.
        """
        self._open_one = open_one
        self._clock = clock
        self._next_call = next_call
        self._opened = opened
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[Rpc, Any] = {}  # of the channel
        self.under_way = 0  # calls
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is one."""
        return self._channel is not None

    @property
    def is_connected(self) -> bool:
        """Whether it leads to the server."""
        channel = self._channel
        return channel is not None and channel.get_state() is grpc.ChannelConnectivity.READY

    def unary(
        self, rpc: Rpc, request: Callable[[Any], bytes], answer: Callable[[bytes], Any]
    ) -> grpc.aio.UnaryUnaryMultiCallable[Any, Any]:
        """Return a method with one answer. The channel stays open for it within `call`."""
        method = self._methods.get(rpc)
        if method is None:
            method = self._methods[rpc] = self._get().unary_unary(rpc.path, request, answer)
        return method

    def stream(
        self, rpc: Rpc, request: Callable[[Any], bytes], answer: Callable[[bytes], Any]
    ) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:
        """Return a method with many answers, likewise."""
        return self._get().unary_stream(rpc.path, request, answer)

    def _get(self) -> grpc.aio.Channel:
        if self._is_closed:
            raise grpc.aio.UsageError("the client is closed")
        if self._channel is None:
            self._channel = self._open_one()
            self._opened()
        return self._channel

    def __enter__(self) -> None:
        """Keep the channel open for a call, and a little longer."""
        self.under_way += 1

    def __exit__(self, *_: object) -> None:
        self.under_way -= 1
        if not self.under_way:
            self._idle_since = self._clock.monotonic()
            if self._timer is None:
                self._look_in(GRACE)

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Close it, unless it is used, or soon will be. There is one timer for all calls."""
        self._timer = None
        if self.under_way or self._channel is None:
            return  # the end of the call will set the timer
        now = self._clock.monotonic()
        soon = self._next_call() - now
        if now - self._idle_since < GRACE:
            self._look_in(GRACE)
        elif soon <= WORTH_KEEPING:
            self._look_in(max(soon, 0.0) + GRACE)
        else:
            self._close()

    def _close(self) -> None:
        if self._channel is not None:
            task = asyncio.create_task(self._channel.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._channel = None
            self._methods.clear()

    async def close(self) -> None:
        """Close it for good; calls under way are cancelled."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._close()
        await asyncio.gather(*self._closing)
