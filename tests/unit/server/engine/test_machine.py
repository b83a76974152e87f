"""The line that tells machines apart."""

from pathlib import Path

from alphacut_server.engine.machine import fingerprint, has_gpu_node


def make_machine(root: Path, *, cpu: str = "", gpus: tuple[str, ...] = ()) -> Path:
    """Make an imagined machine's file system."""
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(f"processor\t: 0\nmodel name\t: {cpu}\nflags\t: fpu\n")
    for index, gpu in enumerate(gpus):
        card = root / f"proc/driver/nvidia/gpus/0000:0{index}:00.0"
        card.mkdir(parents=True)
        (card / "information").write_text(f"Model: \t\t {gpu}\nIRQ:   \t\t 17\n")
    return root


def test_processor_gpus_threads_provider_and_version_all_count(tmp_path: Path) -> None:
    """Everything a batch's time depends on is in the line."""
    root = make_machine(tmp_path, cpu="Some CPU", gpus=("NVIDIA T4", "NVIDIA L4"))

    line = fingerprint("cuda", 4, "1.32.0", root)

    assert line == "Some CPU | NVIDIA T4 | NVIDIA L4 | cuda | 4 threads | onnxruntime 1.32.0"


def test_an_unreadable_machine_still_has_a_line(tmp_path: Path) -> None:
    """Without /proc the processor is unknown, nothing fails."""
    line = fingerprint("cpu", 2, "1.32.0", tmp_path)

    assert line == "unknown processor | cpu | 2 threads | onnxruntime 1.32.0"


def test_a_gpu_is_seen_by_its_device_node(tmp_path: Path) -> None:
    """The driver's control node alone is no GPU, a numbered node is one, and so is WSL's."""
    seen = []

    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    seen.append(has_gpu_node(tmp_path))
    (tmp_path / "dev/nvidia0").touch()
    seen.append(has_gpu_node(tmp_path))
    (tmp_path / "dev/nvidia0").rename(tmp_path / "dev/dxg")
    seen.append(has_gpu_node(tmp_path))

    assert seen == [False, True, True]
