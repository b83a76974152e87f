"""A client as a process of its own, to be killed: `python -m support.caller TARGET CALLS unary|stream`."""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from support.images import small_png
from support.rpc import request_for, stream_item


async def call(target: str, calls: int, kind: str) -> None:
    """Send so many pictures at once, as calls or on one stream, and wait for every answer."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub = BackgroundRemovalServiceStub(channel)
        if kind == "unary":
            await asyncio.gather(
                *(stub.RemoveBackground(request_for(small_png(seed))) for seed in range(calls))
            )
            return

        async def items() -> AsyncIterator[service_pb2.RemoveBackgroundStreamRequest]:
            for seed in range(calls):
                yield stream_item(str(seed), small_png(seed))

        async for _ in stub.RemoveBackgroundStream(items()):
            pass


if __name__ == "__main__":
    asyncio.run(call(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
