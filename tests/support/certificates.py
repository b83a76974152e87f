"""Certificates for TLS tests, made by the openssl program: an authority, a server of 127.0.0.1, a client."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates in a folder of its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._own = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        self._run("req", "-x509", *self._new_key(self._own), "-subj", f"/CN={name}", "-days", "2")

    @property
    def certificate(self) -> Path:
        """Return the file that whoever trusts this authority needs."""
        return self._own.certificate

    def issue(self, name: str) -> Pair:
        """Make a key and a certificate of 127.0.0.1 and localhost."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        self._run(
            *("req", "-x509", *self._new_key(pair), "-subj", f"/CN={name}", "-days", "2"),
            *("-CA", str(self._own.certificate), "-CAkey", str(self._own.key)),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
        return pair

    @staticmethod
    def _new_key(pair: Pair) -> tuple[str, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*curve, "-keyout", str(pair.key), "-out", str(pair.certificate))

    @staticmethod
    def _run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
