"""A catalogue of one tiny network, pulled already: a real model in every respect but that it cuts nothing worth seeing."""

import hashlib
from pathlib import Path

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.store import Store
from alphacut_server.settings import Device, EngineSettings
from support.published import INPUT, OUTPUT, publish_weights

TINY = "tiny"
TINY_SIDE_PX = 16

_MANIFEST = """\
description = "A network for tests."
weights_license = "CC0-1.0"
license_note = "Made by the test."
side_px = {side_px}
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
input_name = "{input}"
output_name = "{output}"

[file]
sha256 = "{sha256}"
size_bytes = {size}

[[file.sources]]
kind = "https"
url = "https://127.0.0.1:1/nobody-listens-here.onnx"
"""


def tiny_engine(folder: Path, *, is_pulled: bool = True) -> EngineSettings:
    """Write catalogue and store below `folder`; return the settings that serve the network on the CPU."""
    weights = publish_weights(side_px=TINY_SIDE_PX)
    catalogue, store = folder / "models", Store(folder / "store")
    manifest = catalogue / TINY / "model.toml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(
        _MANIFEST.format(
            side_px=TINY_SIDE_PX,
            input=INPUT,
            output=OUTPUT,
            sha256=hashlib.sha256(weights).hexdigest(),
            size=len(weights),
        )
    )
    if is_pulled:
        arrived = store.folder(TINY) / "arrived"
        arrived.parent.mkdir(parents=True)
        arrived.write_bytes(weights)
        assert store.adopt(load_catalogue(catalogue).get(TINY), arrived, "a test") is not None
    return EngineSettings(
        model=TINY, device=Device.CPU, threads=1, catalogue_dir=catalogue, store_dir=store.root
    )
