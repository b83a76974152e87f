"""Writing a file so that nobody ever sees half of it."""

import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = True) -> None:
    """Write the bytes beside `path` and move them into place; a link is followed, not replaced.

    Raises FileExistsError when the file exists and may not be overwritten, other OSError when it cannot be written;
    then nothing is left behind. A killed process may leave a hidden `.part` file, never a broken `path`.
    """
    final = Path(os.path.realpath(path))
    if final.exists() and not final.is_file():
        raise FileExistsError(f"{final} is no regular file")
    if not overwrite and final.exists():
        raise FileExistsError(f"{final} exists")
    partial = final.with_name(f".{secrets.token_hex(8)}.part")
    # Not tempfile: its files are readable by their owner alone, and stay so after the move.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
