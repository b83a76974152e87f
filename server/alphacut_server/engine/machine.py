"""What tells one machine from another as far as a batch's time goes: a key for figures measured earlier."""

from pathlib import Path

_GPU_NODES = ("dev/nvidia[0-9]*", "dev/dxg")
"""Device nodes of NVIDIA's driver, natively and under WSL."""


def has_gpu_node(root: Path = Path("/")) -> bool:
    """Tell whether an NVIDIA device node is visible; it need not work, and a rare platform has none."""
    return any(True for pattern in _GPU_NODES for _ in root.glob(pattern))


def fingerprint(provider: str, threads: int, runtime_version: str, root: Path = Path("/")) -> str:
    """Join processor, GPUs, threads, provider and runtime version into one line.

    root: the file system's root; tests hand in a tree of their own.
    """
    parts = (
        _cpu_model(root),
        *_gpu_models(root),
        provider,
        f"{threads} threads",
        f"onnxruntime {runtime_version}",
    )
    return " | ".join(parts)


def _cpu_model(root: Path) -> str:
    return _first_value(root / "proc/cpuinfo", "model name") or "unknown processor"


def _gpu_models(root: Path) -> tuple[str, ...]:
    cards = sorted(root.glob("proc/driver/nvidia/gpus/*/information"))
    return tuple(_first_value(card, "Model") or "unknown GPU" for card in cards)


def _first_value(path: Path, key: str) -> str:
    """Return what follows `key :` in a file of such lines; empty when there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
