"""Many large uploads at once: does the gateway's memory stay bounded, and does nothing fail but by a clear 503 or 429?

    python bench/uploads.py            # 200 parallel uploads of 15 MB to the emulated model

Each file is a small JPEG with bytes behind its end, which every decoder ignores: the way of the bytes is what is measured, not
the decoding. Callers do not try again, so that a refusal is counted as one. The senders run in a process of their own.
"""

import argparse
import asyncio
import json
import multiprocessing
import threading
import time
from collections import Counter

import cv2
import numpy as np
from gateway import BOUNDARY, multipart
from servers import running_gateway, running_server

SLICE_BYTES = 1 << 18


async def upload(host: str, port: int, body: bytes) -> str:
    """Post one body on a connection of its own; returns the answer's status, or how the connection failed."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"connect {type(error).__name__}"
    head = (
        f"POST /v1/results?mode=fg-mask HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode())
        for start in range(0, len(body), SLICE_BYTES):
            writer.write(body[start : start + SLICE_BYTES])
            await writer.drain()
        answer = await reader.read()
    except OSError as error:
        return f"broken {type(error).__name__}"
    finally:
        writer.close()
    status, _, rest = answer.partition(b"\r\n")
    code = status.split(b" ")[1].decode() if status.count(b" ") > 1 else "no answer"
    if code == "503" and b"retry-after" not in rest.lower():
        return "503 without Retry-After"
    if code == "200" and b'"code":"ok"' not in rest:
        return "200 failure"
    return code


def send_all(
    host: str, port: int, count: int, size_bytes: int, pipe: "multiprocessing.connection.Connection"
) -> None:
    """Send them all at once and report the answers by kind, and the seconds it took."""
    small = cv2.imencode(".jpg", np.full((64, 64, 3), 127, np.uint8))[1].tobytes()
    body = multipart(small + bytes(size_bytes - len(small)))

    async def everything() -> list[str]:
        return await asyncio.gather(*(upload(host, port, body) for _ in range(count)))

    begun_s = time.perf_counter()
    answers = Counter(asyncio.run(everything()))
    pipe.send((dict(answers), time.perf_counter() - begun_s))


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=15.0)
    args = parser.parse_args()
    with running_server({"ALPHACUT_MODEL": "emulated"}) as server, running_gateway(server, {}) as gateway:
        before = gateway.rss_bytes()
        highest, server_highest = before, server.rss_bytes()
        done = threading.Event()

        def watch() -> None:
            nonlocal highest, server_highest
            while not done.wait(0.02):
                highest, server_highest = (
                    max(highest, gateway.rss_bytes()),
                    max(server_highest, server.rss_bytes()),
                )

        watcher = threading.Thread(target=watch)
        watcher.start()
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        sender = multiprocessing.get_context("spawn").Process(
            target=send_all,
            args=(gateway.host, gateway.port, args.uploads, round(args.megabytes * 1e6), theirs),
        )
        sender.start()
        answers, seconds = ours.recv()
        sender.join()
        done.set()
        watcher.join()
        report = {
            "uploads": args.uploads,
            "megabytes": args.megabytes,
            "answers": answers,
            "seconds": round(seconds, 1),
            "gateway_mb": {
                "before": before // 10**6,
                "highest": highest // 10**6,
                "after": gateway.rss_bytes() // 10**6,
            },
            "server_mb_highest": server_highest // 10**6,
        }
        print(json.dumps(report))


if __name__ == "__main__":
    main()
