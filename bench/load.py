"""Closed-loop gRPC load: N callers on one connection, each asking again as soon as it is answered.

    python bench/load.py --target 127.0.0.1:50051 --callers 8 --seconds 5 --size 64x64 --mode fg-mask

Every picture sent is different, so nothing can be served from a cache. Prints one JSON line: calls per second, latencies, errors
by reason, and the mean batch as the answers' own batch sizes tell it (calls divided by device runs).
"""

import argparse
import asyncio
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass, field

import cv2
import grpc
import numpy as np

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import background_removal_service_pb2_grpc as service_pb2_grpc
from alphacut.v1 import image_pb2, options_pb2

MODES = {
    "fg-image": options_pb2.MODE_FG_IMAGE,
    "fg-mask": options_pb2.MODE_FG_MASK,
    "fg-image-shadow": options_pb2.MODE_FG_IMAGE_SHADOW,
}
MAX_MESSAGE_BYTES = 128 << 20


@dataclass(slots=True)
class Tally:
    """What the measured part of a run saw."""

    latencies_s: list[float] = field(default_factory=list)
    device_runs: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    span_s: float = 0.0

    def report(self) -> dict[str, float | int | dict[str, int]]:
        """Return the figures; latencies in ms."""
        ordered = np.sort(np.asarray(self.latencies_s or [float("nan")])) * 1000
        return {
            "calls": len(self.latencies_s),
            "calls_per_s": round(len(self.latencies_s) / self.span_s, 2),
            "mean_batch": round(len(self.latencies_s) / max(self.device_runs, 1e-9), 2),
            "p50_ms": round(float(np.percentile(ordered, 50)), 2),
            "p95_ms": round(float(np.percentile(ordered, 95)), 2),
            "p99_ms": round(float(np.percentile(ordered, 99)), 2),
            "errors": dict(self.errors),
        }


def pictures(sizes: list[tuple[int, int]], count: int, seed: int) -> list[bytes]:
    """Return `count` distinct JPEGs, (height, width) px in turn from `sizes`."""
    random = np.random.default_rng(seed)
    encoded: list[bytes] = []
    for index in range(count):
        height, width = sizes[index % len(sizes)]
        small = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        encoded.append(cv2.imencode(".jpg", picture)[1].tobytes())
    return encoded


async def run(args: argparse.Namespace) -> Tally:
    """Warm up, measure, and return the tally."""
    tally = Tally()
    requests = [
        service_pb2.RemoveBackgroundRequest(
            image=image_pb2.ImageSource(content=content), mode=MODES[args.mode], model=args.model
        )
        for content in pictures(args.size, args.pictures, args.seed)
    ]
    supply = itertools.cycle(requests)
    options = [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ]
    async with grpc.aio.insecure_channel(args.target, options=options) as channel:
        stub = service_pb2_grpc.BackgroundRemovalServiceStub(channel)
        started_s = time.perf_counter()
        measure_from_s = started_s + args.warmup
        end_s = measure_from_s + args.seconds
        limit = args.calls or float("inf")

        async def caller() -> None:
            while (begun_s := time.perf_counter()) < end_s and len(tally.latencies_s) < limit:
                try:
                    response = await stub.RemoveBackground(next(supply), timeout=args.timeout)
                except grpc.aio.AioRpcError as error:
                    tally.errors[error.code().name] += 1
                    continue
                ended_s = time.perf_counter()
                if begun_s >= measure_from_s and ended_s <= end_s:
                    tally.latencies_s.append(ended_s - begun_s)
                    tally.device_runs += 1 / response.batch_size

        await asyncio.gather(*(caller() for _ in range(args.callers)))
        tally.span_s = min(time.perf_counter(), end_s) - measure_from_s
    return tally


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(height), int(width)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--target", default="127.0.0.1:50051")
    arguments.add_argument("--callers", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=5.0, help="measured time")
    arguments.add_argument("--warmup", type=float, default=1.0, help="seconds before it")
    arguments.add_argument(
        "--calls", type=int, default=0, help="stop after so many measured calls; 0: time alone"
    )
    arguments.add_argument("--size", type=_size, nargs="+", default=[(64, 64)], metavar="WxH")
    arguments.add_argument("--mode", choices=MODES, default="fg-mask")
    arguments.add_argument("--model", default="")
    arguments.add_argument("--pictures", type=int, default=512, help="distinct pictures in the pool")
    arguments.add_argument("--timeout", type=float, default=60.0, help="deadline of each call, s")
    arguments.add_argument("--seed", type=int, default=1)
    return arguments


def main() -> None:
    """Run and print."""
    print(json.dumps(asyncio.run(run(parser().parse_args())).report()))


if __name__ == "__main__":
    main()
