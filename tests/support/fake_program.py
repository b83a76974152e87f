"""A program for a supervisor to run: ARGS are a journal's address, a name, and what to do.

serve: until told to stop; serve-badly: the same, then exit 4; deaf: for ever; exit-N: at once; cued-N: exit N when the journal
gives the cue; cued-kill: die by SIGKILL then.
"""

import asyncio
import os
import signal
import socket
import sys

from alphacut_service.signals import stop_requested


def main() -> int:
    """Report `NAME started`, behave, and, when told to stop and listening, report `NAME stopped`."""
    address, name, behaviour = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(address)
        if behaviour in {"serve", "serve-badly"}:
            asyncio.run(_serve(wire, name))
            return 0 if behaviour == "serve" else 4
        if behaviour == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _report(wire, f"{name} started")
        if behaviour.startswith("cued-"):
            wire.recv(1)
        if behaviour == "cued-kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while behaviour == "deaf":
            signal.pause()
        return int(behaviour.rpartition("-")[2])


async def _serve(wire: socket.socket, name: str) -> None:
    with stop_requested() as stop:
        _report(wire, f"{name} started")
        await stop.wait()
        _report(wire, f"{name} stopped")


def _report(wire: socket.socket, text: str) -> None:
    wire.sendall(f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
