"""The least a Python gRPC server in front of the emulated device can cost: no decoding, no policy, no metrics, a fixed answer.

    python bench/floor.py --port 50999 --base-ms 8 --item-ms 1

It takes whatever waits when the device is free (greedy). bench/emulated.py runs it beside the real server, call for call, so
that what is alphacut's own cost can be told from what gRPC, Python and the machine take.
"""

import argparse
import asyncio
import signal
import threading
import time

import grpc

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2

MAX_BATCH = 16


class GreedyDevice:
    """Sleeps base + n * item seconds for whatever has gathered, at most 16, on a thread of its own."""

    def __init__(self, base_s: float, item_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._base_s = base_s
        self._item_s = item_s
        self._loop = loop
        self._waiting: list[asyncio.Future[int]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, answer: "asyncio.Future[int]") -> None:
        """Queue one item; its future gets the size of its batch."""
        with self._changed:
            self._waiting.append(answer)
            self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            time.sleep(self._base_s + self._item_s * len(batch))
            self._loop.call_soon_threadsafe(self._answer, batch)

    @staticmethod
    def _answer(batch: "list[asyncio.Future[int]]") -> None:
        for answer in batch:
            if not answer.done():
                answer.set_result(len(batch))


def handler(device: GreedyDevice) -> grpc.GenericRpcHandler:
    """Return RemoveBackground alone, answering every picture with the same bytes once the device has had it."""

    async def remove_background(
        request: service_pb2.RemoveBackgroundRequest, context: object
    ) -> service_pb2.RemoveBackgroundResponse:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        device.submit(answer)
        return service_pb2.RemoveBackgroundResponse(
            image=image_pb2.OutputImage(content=bytes(600)), batch_size=await answer
        )

    method = grpc.unary_unary_rpc_method_handler(
        remove_background,
        request_deserializer=service_pb2.RemoveBackgroundRequest.FromString,
        response_serializer=service_pb2.RemoveBackgroundResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        "alphacut.v1.BackgroundRemovalService", {"RemoveBackground": method}
    )


async def serve(port: int, base_s: float, item_s: float) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(GreedyDevice(base_s, item_s, loop)),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await stop.wait()
    await server.stop(0)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base-ms", type=float, default=8.0)
    parser.add_argument("--item-ms", type=float, default=1.0)
    args = parser.parse_args()
    asyncio.run(serve(args.port, args.base_ms / 1000, args.item_ms / 1000))


if __name__ == "__main__":
    main()
