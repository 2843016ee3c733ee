"""Faults of calls: a status, a delay, silence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any, Final

import grpc
import grpc.aio

from exporter.api.calls import RETRY_INFO
from exporter.pb import status_pb2
from exporter.simulator.injection import Injected
from exporter.simulator.scenarios import STATUSES

Context = grpc.aio.ServicerContext[Any, Any]

ON_ARRIVAL: Final = frozenset({*STATUSES, "slow", "hang", "long-trailers"})
LONG: Final = 64 * 1024  # bytes of a trailer; gRPC takes 8 to 16 KiB of all


async def fail(injected: Iterable[Injected], context: Context) -> None:
    """Bring about what has hit a call, in that order; returns if the call may go on."""
    for hit in injected:
        match hit.fault.name:
            case "slow":
                await asyncio.sleep(hit.fault.value("delay") or 0.0)
            case "hang":
                # The deadline, the client's going away or the server's end cancels the call.
                await asyncio.Event().wait()
            case "long-trailers":
                context.set_trailing_metadata((("simulated", "x" * LONG),))
            case name:
                code, text = STATUSES[name]
                retry_info, retry_after = map(hit.fault.value, ("retry-info", "retry-after"))
                await context.abort(
                    code, f"simulated: {text}", _trailers(code, retry_info, retry_after)
                )


def _trailers(
    code: grpc.StatusCode, retry_info: float | None, retry_after: float | None
) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata that asks for a delay, in seconds, before the next try."""
    trailers: list[tuple[str, str | bytes]] = []
    if retry_info is not None:
        trailers.append(("grpc-status-details-bin", status_with_retry_info(code, retry_info)))
    if retry_after is not None:
        trailers.append(("retry-after", str(math.ceil(retry_after))))  # HTTP knows no parts
    return tuple(trailers)


def status_with_retry_info(code: grpc.StatusCode, seconds: float) -> bytes:
    """Return a google.rpc.Status with a google.rpc.RetryInfo in it."""
    info = status_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(round(seconds * 1000))
    status = status_pb2.Status(code=code.value[0])
    status.details.add(type_url=RETRY_INFO, value=info.SerializeToString())
    return status.SerializeToString()
