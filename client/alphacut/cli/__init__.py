"""The command line, `alphacut`; starts without gRPC, so that `--help` and usage errors are instant."""

from alphacut.cli.main import main

__all__ = ["main"]
