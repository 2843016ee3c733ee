"""What gRPC alone can do: polls a fleet, decodes each answer and drops it.

Takes the port of the billing server, the number of organizations, how many calls are in flight
at once, and how many rounds there are. Prints the seconds of processor time that it took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc.aio

from bench import data
from exporter.api.calls import AUTHENTICATE, POLLED, ReadRpc
from exporter.api.client import CHANNEL_OPTIONS, REQUESTS
from exporter.pb import auth_pb2
from exporter.pb import billing_pb2 as pb

ANSWERS: dict[ReadRpc, Any] = {
    ReadRpc.GET_CURRENT_MONTH_USAGE: pb.GetCurrentMonthUsageResponse,
    ReadRpc.GET_ORG_BILLING_INFORMATION: pb.GetOrgBillingInformationResponse,
    ReadRpc.GET_INVOICES_SUMMARY: pb.GetInvoicesSummaryResponse,
}


async def poll(port: int, count: int, concurrency: int, rounds: int) -> None:
    """Make all calls, so many at once."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", CHANNEL_OPTIONS) as channel:
        authenticate = channel.unary_unary(
            AUTHENTICATE.path,
            auth_pb2.AuthenticateRequest.SerializeToString,
            auth_pb2.AuthenticateResponse.FromString,
        )
        token = await authenticate(auth_pb2.AuthenticateRequest(entity="bench"))
        metadata = (("authorization", f"Bearer {token.access_token}"),)
        methods = [
            (
                channel.unary_unary(
                    call.path, REQUESTS[rpc].SerializeToString, ANSWERS[rpc].FromString
                ),
                REQUESTS[rpc],
            )
            for rpc, call in POLLED.items()
        ]

        fleet = data.organizations(count)

        def calls() -> Iterator[Any]:
            for _ in range(rounds):
                for org_id, _ in fleet:
                    for method, request in methods:
                        yield method(request(org_id=org_id), metadata=metadata, timeout=20.0)

        left = calls()

        async def work() -> None:
            for call in left:
                await call

        started = time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        print(time.process_time() - started)


if __name__ == "__main__":
    asyncio.run(poll(*map(int, sys.argv[1:])))
