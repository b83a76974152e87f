"""A Unix socket on which child processes report what they do, so that tests wait for events and not for time."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Journal:
    """Lines reported by any number of processes, in order of arrival; `NAME gone` is added when one hangs up."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._writers: dict[str, asyncio.StreamWriter] = {}

    async def line(self) -> str:
        """Return the next line, waiting for it."""
        return await self._lines.get()

    async def lines(self, count: int) -> list[str]:
        """Return the next lines, waiting for them."""
        return [await self.line() for _ in range(count)]

    def rest(self) -> list[str]:
        """Return the lines that are there already."""
        return [self._lines.get_nowait() for _ in range(self._lines.qsize())]

    def cue(self, name: str) -> None:
        """Send a byte to the process that reported as `name`."""
        self._writers[name].write(b"!")

    async def read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one process's lines until it ends."""
        name = "somebody"
        while text := (await reader.readline()).decode().strip():
            name = text.split()[0]
            self._writers[name] = writer
            self._lines.put_nowait(text)
        self._lines.put_nowait(f"{name} gone")
        writer.close()


@asynccontextmanager
async def open_journal() -> AsyncIterator[Journal]:
    """Listen until the block ends. The folder is a short one: a socket's path has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="alphacut-") as folder:
        journal = Journal(str(Path(folder) / "journal"))
        server = await asyncio.start_unix_server(journal.read, journal.address)
        async with server:
            yield journal
