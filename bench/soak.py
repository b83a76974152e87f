"""Whether resident memory stays flat: mixed picture sizes through a real model, thousands of calls.

    python bench/soak.py --model u2netp --calls 2000 --callers 8

Prints resident memory every 200 calls, and how far the end lies above the mark after the first 200.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from servers import RunningServer, running_server

LOAD = Path(__file__).with_name("load.py")
STEP_CALLS = 200
SIZES = ("320x240", "640x480", "1024x768", "480x800", "1600x1200", "64x64", "2048x1536")
MODES = ("fg-image", "fg-mask", "fg-image-shadow")


def step(server: RunningServer, callers: int, calls: int, seed: int) -> dict[str, float]:
    """Send `calls` calls and return the load generator's figures."""
    command = [
        sys.executable,
        str(LOAD),
        *("--target", server.target, "--callers", str(callers), "--calls", str(calls), "--seconds", "100000"),
        *("--warmup", "0", "--mode", MODES[seed % len(MODES)], "--seed", str(seed), "--pictures", "56"),
        *("--size", *SIZES),
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(output.stdout)
    return figures


def main() -> None:
    """Run, print a Markdown table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--callers", type=int, default=8)
    args = parser.parse_args()
    print("| calls | resident MB | calls/s | p99 ms | errors |\n|--:|--:|--:|--:|--|")
    mib: list[float] = []
    with running_server({"ALPHACUT_MODEL": args.model}) as server:
        print(f"| 0 | {server.rss_bytes() / 2**20:.0f} | | | |", flush=True)
        for index in range(args.calls // STEP_CALLS):
            figures = step(server, args.callers, STEP_CALLS, index)
            mib.append(server.rss_bytes() / 2**20)
            print(
                f"| {(index + 1) * STEP_CALLS} | {mib[-1]:.0f} | {figures['calls_per_s']:.1f} "
                f"| {figures['p99_ms']:.0f} | {figures['errors'] or 'none'} |",
                flush=True,
            )
    print(f"\nend / after {STEP_CALLS} calls: {mib[-1] / mib[0]:.3f}; highest {max(mib):.0f} MB")


if __name__ == "__main__":
    main()
