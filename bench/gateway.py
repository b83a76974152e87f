"""What the REST gateway costs above gRPC: CPU milliseconds of its process for each call, and the time it adds.

    python bench/gateway.py            # a 300 kB JPEG up, a PNG of about 600 kB back, one caller and eight

The emulated model answers in 9 ms, so that the way around it shows. Every round measures gRPC and HTTP in turn. With --profile
FILE py-spy (pip install py-spy) samples the gateway while it works and writes where its time goes.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import grpc
import numpy as np
from servers import RunningGateway, RunningServer, running_gateway, running_server

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import background_removal_service_pb2_grpc as service_pb2_grpc
from alphacut.v1 import image_pb2

BOUNDARY = "alphacut-bench"
MAX_MESSAGE_BYTES = 128 << 20


def photo(wanted_bytes: int, seed: int) -> bytes:
    """Return a JPEG of 1600 x 1200 px and about so many bytes: smooth shapes with as much grain as that takes."""
    noise = np.random.default_rng(seed)
    small = noise.integers(0, 255, (12, 16, 3), np.uint8)
    smooth = np.asarray(cv2.resize(small, (1600, 1200), interpolation=cv2.INTER_CUBIC), np.float32)
    grain = noise.normal(0, 1, smooth.shape).astype(np.float32)
    best = b""
    for strength in range(1, 40):
        pixels = np.clip(smooth + grain * strength, 0, 255).astype(np.uint8)
        encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, 75))[1].tobytes()
        best = min(best or encoded, encoded, key=lambda one: abs(len(one) - wanted_bytes))
    return best


def fitting_photo(server: RunningServer, upload_bytes: int, answer_bytes: int) -> bytes:
    """Return the photo whose cut-out has nearest to `answer_bytes`: the emulated ellipse varies with the photo."""
    photos = [photo(upload_bytes, seed) for seed in range(1, 9)]
    return min(photos, key=lambda one: abs(grpc_caller(server, one)() - answer_bytes))


def multipart(content: bytes) -> bytes:
    """Return a form with the picture as its field `image`."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def http_caller(gateway: RunningGateway, body: bytes) -> Callable[[], int]:
    """Return a function that posts the form on a connection of its own and returns the answer's size."""
    local = threading.local()

    def call() -> int:
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        connection.request(
            "POST", "/v1/results", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        )
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.OK or b'"code":"ok"' not in content[:100]:
            raise SystemExit(f"{answer.status}: {content[:200]!r}")
        return len(content)

    return call


def grpc_caller(server: RunningServer, content: bytes) -> Callable[[], int]:
    """Return a function that makes the same call over gRPC and returns the PNG's size."""
    channel = grpc.insecure_channel(
        server.target, options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    )
    stub = service_pb2_grpc.BackgroundRemovalServiceStub(channel)
    request = service_pb2.RemoveBackgroundRequest(
        image=image_pb2.ImageSource(content=content, name="photo.jpg")
    )
    return lambda: len(stub.RemoveBackground(request, timeout=60).image.content)


def drive(call: Callable[[], int], callers: int, seconds: float) -> tuple[int, list[float]]:
    """Let so many callers ask one after the other for so long; returns an answer's size and all latencies, s."""
    latencies: list[float] = []
    end_s = time.perf_counter() + seconds

    def loop() -> int:
        size = 0
        while (begun_s := time.perf_counter()) < end_s:
            size = call()
            latencies.append(time.perf_counter() - begun_s)
        return size

    with ThreadPoolExecutor(callers) as pool:
        sizes = [future.result() for future in [pool.submit(loop) for _ in range(callers)]]
    return max(sizes), latencies


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--upload-kb", type=int, default=300)
    parser.add_argument("--answer-kb", type=int, default=600, help="wanted size of the PNG, roughly")
    parser.add_argument(
        "--profile", metavar="FILE", help="write py-spy's flame graph data of the gateway here"
    )
    args = parser.parse_args()
    with running_server({"ALPHACUT_MODEL": "emulated"}) as server, running_gateway(server, {}) as gateway:
        content = fitting_photo(server, args.upload_kb * 1000, args.answer_kb * 1000)
        by_http, by_grpc = http_caller(gateway, multipart(content)), grpc_caller(server, content)
        print(
            f"{len(content) / 1000:.0f} kB up, {by_grpc() / 1000:.0f} kB PNG back; {os.cpu_count()} cores\n"
        )
        print("| way | callers | calls/s | p50 ms | gateway CPU ms/call | gateway RSS MB |")
        print("|--|--:|--:|--:|--:|--:|")
        for _ in range(args.rounds):
            for callers in args.callers:
                for way, call in (("gRPC", by_grpc), ("HTTP", by_http)):
                    drive(call, callers, 1.0)
                    before_s = gateway.cpu_s()
                    _, latencies = drive(call, callers, args.seconds)
                    cpu_ms = (gateway.cpu_s() - before_s) * 1000 / len(latencies)
                    median_ms = sorted(latencies)[len(latencies) // 2] * 1000
                    rate = len(latencies) / args.seconds
                    cost = f"{cpu_ms:.2f} | {gateway.rss_bytes() / 1e6:.0f}" if way == "HTTP" else "- | -"
                    print(f"| {way} | {callers} | {rate:.0f} | {median_ms:.1f} | {cost} |", flush=True)
        if args.profile:
            command = [
                str(Path(sys.executable).with_name("py-spy")),
                "record",
                "--pid",
                str(gateway.pid),
                "--format",
                "raw",
                "--native",
            ]
            with subprocess.Popen(
                [*command, "--duration", str(round(args.seconds)), "--output", args.profile],
                stdout=sys.stderr,
            ):
                drive(by_http, args.callers[-1], args.seconds + 1)
            print(json.dumps({"profile": args.profile}))


if __name__ == "__main__":
    main()
