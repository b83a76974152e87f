"""The words of the command line: what may be given, and the help that is its manual."""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from alphacut.cli.extras import PROGRAMS
from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality
from alphacut.version import __version__

ENV_SERVER = "ALPHACUT_SERVER"
ENV_API_KEY = "ALPHACUT_API_KEY"
E = TypeVar("E", bound=StrEnum)
# A large model on a small CPU takes seconds a picture, and `--jobs` of them wait for each other.
DEFAULT_TIMEOUT_S = 60.0
# Eight callers fill a server's batches well; an embedded server shares this machine's cores with them.
DEFAULT_JOBS = 8
DEFAULT_JOBS_EMBEDDED = 3
MAX_JOBS = 64

_EPILOG = """\
exit status:
  0    everything asked for was done
  1    some pictures failed; each is named with its reason
  2    the command line cannot be done; nothing was done
  3    an extra is not installed; the message says which
  4    no server could be reached, or it refused the key
  130  interrupted (143: terminated, 141: the reader of stdout has gone); whatever was written is whole

environment:
  ALPHACUT_SERVER   HOST:PORT of the server, as --server
  ALPHACUT_API_KEY  key to send, as --api-key but unseen by the other users of this machine
"""

_REMOVE_EPILOG = """\
examples:
  alphacut remove photo.jpg                         writes photo.cutout.png beside it
  alphacut remove photo.jpg -o cut.png              writes cut.png
  alphacut remove photos/ -r -o cutouts/            a tree of pictures, the tree kept
  alphacut remove 'photos/*.jpg' --mode fg-mask     masks, as photo.mask.png
  alphacut remove - < photo.jpg > cut.png           through a pipe
  alphacut remove https://example.org/photo.jpg     fetched by the server; writes photo.cutout.png here
  alphacut remove photo.jpg --crop 0.05 --format webp
  alphacut remove photo.jpg --background beach.jpg --background-fit cover
  alphacut remove photo.jpg --background-color white -o cut.jpg
  alphacut remove photos/ --server gpu-box:50051 --jobs 32 --skip-existing

Without --server the pictures are cut in this process, by the models of the extra [server].
An input is never overwritten, nor is the background. In folders and patterns, what an earlier run wrote is left out.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Which server, and how to reach it; no `server` means one in this process."""

    server: str | None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    use_tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    log_level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOptions:
    """What `alphacut remove` was asked for."""

    connection: Connection
    inputs: tuple[str, ...]
    out: str | None = None
    mode: Mode = Mode.FG_IMAGE
    quality: Quality | None = None
    model: str = ""
    background: str | None = None
    background_color: str | None = None
    background_fit: BackgroundFit | None = None
    format: ImageFormat | None = None
    crop_margin: float | None = None
    jobs: int = DEFAULT_JOBS
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    json_lines: bool = False
    quiet: bool = False


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser; the environment's values are its defaults."""
    parser = argparse.ArgumentParser(
        prog="alphacut",
        description="Remove the backgrounds of photos.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"alphacut {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    remove = commands.add_parser(
        "remove",
        help="cut pictures: files, folders, patterns, URLs, or - for a pipe",
        description="Cut the foreground out of pictures (JPEG or PNG) and write PNG, WebP or JPEG files.",
        epilog=_REMOVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_remove_arguments(remove)
    _add_connection_arguments(remove, environ)
    version = commands.add_parser("version", help="print the version of this program, and of a server")
    _add_connection_arguments(version, environ)
    for name, program in PROGRAMS.items():
        # Only for the list in the help: `main` hands these on before anything is parsed.
        commands.add_parser(name, help=program.summary, add_help=False)
    return parser


def read_connection(values: argparse.Namespace) -> Connection:
    """Return how to reach the server, as parsed."""
    files = (values.tls_ca, values.tls_cert, values.tls_key)
    return Connection(
        server=values.server or None,
        api_key=values.api_key or None,
        timeout_s=values.timeout,
        use_tls=values.tls or any(files),
        ca=values.tls_ca,
        certificate=values.tls_cert,
        key=values.tls_key,
        log_level=values.log_level,
    )


def read_remove(values: argparse.Namespace) -> RemoveOptions:
    """Return what `remove` was asked for, as parsed."""
    connection = read_connection(values)
    return RemoveOptions(
        connection=connection,
        inputs=tuple(values.inputs),
        out=values.out,
        mode=values.mode,
        quality=values.quality,
        model=values.model,
        background=values.background,
        background_color=values.background_color,
        background_fit=values.background_fit,
        format=values.format,
        crop_margin=values.crop,
        jobs=values.jobs or (DEFAULT_JOBS if connection.server else DEFAULT_JOBS_EMBEDDED),
        recursive=values.recursive,
        overwrite=values.overwrite,
        skip_existing=values.skip_existing,
        json_lines=values.json_lines,
        quiet=values.quiet,
    )


def _add_remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a file, a folder, a quoted pattern, a URL, or - for stdin"
    )
    parser.add_argument(
        "-o",
        "--out",
        help="a file ending in .png, .webp or .jpg (one input), a folder, or - for stdout",
    )
    _add_look_arguments(parser.add_argument_group("what comes back"))
    parser.add_argument(
        "-j",
        "--jobs",
        type=_jobs,
        help=f"pictures under way at once (default: {DEFAULT_JOBS}; without a server {DEFAULT_JOBS_EMBEDDED})",
    )
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="take folders with all that is in them"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave out pictures whose output exists"
    )
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a picture on stdout")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but what failed")


def _add_look_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--mode",
        type=_named(Mode),
        default=Mode.FG_IMAGE,
        metavar="MODE",
        help=f"{', '.join(Mode)} (default: %(default)s)",
    )
    group.add_argument(
        "--quality",
        type=_named(Quality),
        metavar="QUALITY",
        help=f"{', '.join(Quality)} (default: the server's own)",
    )
    group.add_argument("--model", default="", help="a model of the server (default: the quality's)")
    fill = group.add_mutually_exclusive_group()
    fill.add_argument(
        "--background", metavar="FILE|URL", help="a picture behind the foreground, the same for all"
    )
    fill.add_argument(
        "--background-color", metavar="COLOR", help="#rgb, #rrggbb, #rrggbbaa (quoted) or a CSS name"
    )
    group.add_argument(
        "--background-fit",
        type=_named(BackgroundFit),
        metavar="FIT",
        help="none (own size, centred; the default), cover (fill, cropped), contain (wholly inside), stretch",
    )
    group.add_argument(
        "--format",
        type=_named(ImageFormat),
        metavar="FORMAT",
        help=f"{', '.join(ImageFormat)} (default: by the ending of -o, else png); JPEG has no transparency",
    )
    group.add_argument(
        "--crop",
        type=_margin,
        nargs="?",
        const=0.0,
        metavar="MARGIN",
        help="cut down to the subject, this share of its longer side around it: 0 (default) to 1",
    )


def _add_connection_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    group = parser.add_argument_group("server")
    group.add_argument(
        "-s",
        "--server",
        metavar="HOST:PORT",
        default=environ.get(ENV_SERVER),
        help=f"the gRPC server (default: ${ENV_SERVER}; without either, one in this process)",
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        metavar="S",
        default=DEFAULT_TIMEOUT_S,
        help="seconds a picture may take, retries included; 0 for ever (default: %(default)g)",
    )
    group.add_argument(
        "--api-key",
        metavar="KEY",
        # Not `default=`: argparse would print the key in an error about it.
        default=environ.get(ENV_API_KEY),
        help=f"better given as ${ENV_API_KEY}: other users of this machine see command lines",
    )
    group.add_argument("--tls", action="store_true", help="connect by TLS, trusting the usual roots")
    group.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="trust these roots instead (PEM); implies --tls"
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="own certificate (PEM), with --tls-key")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="own key (PEM), with --tls-cert")
    group.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="what the server in this process tells on stderr (default: errors only)",
    )


def _named(kind: type[E]) -> Callable[[str], E]:
    """Return what reads one of an enum's values; argparse's own error would not list them."""

    def read(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(kind)}, not {text!r}") from None

    return read


def _margin(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        # Most likely a picture, which a flag with an optional value takes for its own.
        raise argparse.ArgumentTypeError(
            f"{text!r} is no margin in [0, 1]; name the pictures before --crop, or write --crop=0"
        ) from None
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be in [0, 1], not {text}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return math.inf if value == 0 else value


def _jobs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"must be between 1 and {MAX_JOBS}")
    return value
