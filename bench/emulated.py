"""How much of an accelerator's ideal throughput the whole server keeps: the emulated device, closed-loop callers over gRPC.

    python bench/emulated.py            # 8 ms + 1 ms an item, batches of at most 16; 1, 8 and 64 callers

The ideal is b / (base + b * item) with b = min(callers, 16). Server and load run as two processes on the same cores. The
floor is bench/floor.py: the same RPC and device with nothing around them, measured in turn with the server.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from servers import RunningServer, running_floor, running_server

LOAD = Path(__file__).with_name("load.py")
MAX_BATCH = 16


def measure(server: RunningServer, callers: int, seconds: float) -> dict[str, float]:
    """Run one cell; adds the server's CPU milliseconds a call."""
    cpu_before_s = server.cpu_s()
    command = [
        sys.executable,
        str(LOAD),
        *("--target", server.target, "--callers", str(callers), "--seconds", str(seconds)),
        *("--warmup", "2", "--size", "64x64", "--mode", "fg-mask"),
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(output.stdout)
    # The CPU time covers the warm-up, too, so it is divided by the calls of both.
    calls = figures["calls_per_s"] * (seconds + 2)
    figures["cpu_ms"] = (server.cpu_s() - cpu_before_s) * 1000 / calls
    return figures


def print_cell(name: str, callers: int, args: argparse.Namespace, cell: dict[str, float]) -> None:
    """Print one row of the table."""
    batch = min(callers, MAX_BATCH)
    ideal = batch / (args.base_ms + batch * args.item_ms) * 1000
    print(
        f"| {name} | {callers} | {cell['calls_per_s']:.0f} | {cell['calls_per_s'] / ideal:.0%} "
        f"| {cell['mean_batch']:.1f} | {cell['p50_ms']:.1f} | {cell['p99_ms']:.1f} "
        f"| {cell['cpu_ms']:.2f} | {cell['errors'] or 'none'} |",
        flush=True,
    )


def main() -> None:
    """Measure every cell, the floor and the server in turn, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-ms", type=float, default=8.0)
    parser.add_argument("--item-ms", type=float, default=1.0)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    settings = {
        "ALPHACUT_MODEL": "emulated",
        "ALPHACUT_EMULATED_BASE_MS": str(args.base_ms),
        "ALPHACUT_EMULATED_ITEM_MS": str(args.item_ms),
    }
    print(
        f"emulated {args.base_ms:g} ms + {args.item_ms:g} ms an item; {os.cpu_count()} cores, {platform.machine()}\n"
    )
    print(
        "| server | callers | calls/s | of ideal | mean batch | p50 ms | p99 ms | server CPU ms/call | errors |"
    )
    print("|--|--:|--:|--:|--:|--:|--:|--:|--|")
    with running_floor(args.base_ms, args.item_ms) as floor, running_server(settings) as server:
        for _ in range(args.rounds):
            for callers in args.callers:
                for name, one in (("floor", floor), ("alphacut", server)):
                    print_cell(name, callers, args, measure(one, callers, args.seconds))


if __name__ == "__main__":
    main()
