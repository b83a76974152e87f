"""Verify the CUDA path on a real GPU in one run, and measure it: what the test suite, which has no GPU, cannot know.

    python bench/gpu_check.py --model-path models/.store/u2netp/prepared-<key>.onnx \\
        --fp32-model-path models/.store/u2netp/prepared-<other key>.onnx --json gpu.json

Checks: the session really runs on CUDA and how much of the graph does; an item's matte is the same alone and in a
batch; half precision against single, and both against the CPU. Measures: images a second by batch size with plain runs,
IOBinding from pageable and from pinned memory, two batches in flight, and CUDA graphs. Needs NumPy and onnxruntime-gpu;
the server's sources are taken from this checkout. Ends within `--budget-s`.

Exit code 0: every check passed; 1: one did not; 2: no GPU can be used here, with what is missing.
"""

import argparse
import json
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "server"))

from alphacut_server.engine.buffers import CudaPinner, HostPinner, NoPinner, bucket_sizes
from alphacut_server.engine.cuda import CudaEngine, gpu_session_options
from alphacut_server.engine.engine import Engine, EngineInfo, Provider
from alphacut_server.engine.machine import fingerprint
from alphacut_server.engine.onnx import ArenaPolicy, GraphNames, OnnxEngine, cpu_session_options
from alphacut_server.engine.providers import DeviceChoice, SessionRequest, open_session, plan_device
from alphacut_server.engine.runtime import DeviceUnavailable, Runtime, load_runtime
from alphacut_server.errors import EngineFailed

NAMES = GraphNames("tensor", "matte")
BATCH_TOLERANCE = 1
"""Largest difference of any pixel, of 255, between an item alone and the same item in a batch."""
PRECISION_TOLERANCE = 0.005
"""Mean difference of the mattes, of 1, between half and single precision, and between the GPU and the CPU."""

HEAVY_NODES = {
    "Conv",
    "FusedConv",
    "ConvTranspose",
    "MatMul",
    "Gemm",
    "Resize",
    "MaxPool",
    "BatchNormalization",
}
"""Nodes that touch every pixel; one of them on the CPU means copies both ways and a slow run."""

Tensors = Sequence[NDArray[np.uint8]]


@dataclass
class Report:
    """What was found; printed as it comes, written as JSON at the end."""

    machine: str
    checks: dict[str, bool] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    throughput: dict[str, dict[int, float]] = field(default_factory=dict)
    """Images a second, by way and batch size."""
    skipped: list[str] = field(default_factory=list)

    def check(self, name: str, passed: bool, detail: str) -> None:
        """Keep and print one check."""
        self.checks[name] = passed
        print(f"{'ok  ' if passed else 'FAIL'}  {name}: {detail}", flush=True)


@dataclass(frozen=True)
class Bench:
    """One model on one GPU."""

    runtime: Runtime
    path: Path
    side_px: int
    max_batch_size: int
    device_id: int

    def request(self, provider: Provider, *, cuda_graphs: bool = False) -> SessionRequest:
        """Say what session to open."""
        return SessionRequest(
            path=self.path,
            provider=provider,
            side_px=self.side_px,
            input_name=NAMES.input_name,
            max_batch_size=self.max_batch_size,
            device_id=self.device_id,
            cuda_graphs=cuda_graphs,
        )

    def info(self, provider: Provider, depth: int = 1) -> EngineInfo:
        """Describe the engine."""
        return EngineInfo(self.path.stem, self.side_px, provider, self.max_batch_size, depth)

    def bound(self, pinner: HostPinner, *, depth: int = 1, cuda_graphs: bool = False) -> CudaEngine:
        """Open the engine that the server uses."""
        request = self.request(Provider.CUDA, cuda_graphs=cuda_graphs)
        session = open_session(self.runtime, request, gpu_session_options(self.runtime))
        return CudaEngine(
            self.runtime,
            session,
            self.info(Provider.CUDA, depth),
            NAMES,
            pinner=pinner,
            device_id=self.device_id,
            cuda_graphs=cuda_graphs,
        )

    def plain(self, provider: Provider) -> OnnxEngine:
        """Open an engine that runs without IOBinding, on the GPU or on the CPU."""
        on_cpu = provider is Provider.CPU
        options = cpu_session_options(self.runtime, 0) if on_cpu else gpu_session_options(self.runtime)
        session = open_session(self.runtime, self.request(provider), options)
        return OnnxEngine(self.runtime, session, self.info(provider), NAMES, arena=ArenaPolicy.OFF)


def make_scenes(count: int, side_px: int) -> list[NDArray[np.uint8]]:
    """Draw scenes that a network sees something in: a textured disc before a gradient, (side, side, 3) uint8 each."""
    noise = np.random.default_rng(7)
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    scenes = []
    for _ in range(count):
        cx, cy, radius = noise.uniform((0.35, 0.35, 0.15), (0.65, 0.65, 0.3))
        inside = ((x - cx) ** 2 + (y - cy) ** 2 < radius**2)[..., None]
        ground = noise.uniform(40, 220, 3) * (0.5 + 0.5 * y[..., None])
        thing = noise.uniform(0, 255, 3) + 25 * np.sin(40 * x + 25 * y)[..., None]
        grain = noise.normal(0, 4, (side_px, side_px, 3))
        scenes.append(np.clip(np.where(inside, thing, ground) + grain, 0, 255).astype(np.uint8))
    return scenes


def load_photos(folder: Path, count: int, side_px: int) -> list[NDArray[np.uint8]]:
    """Read photos, (side, side, 3) uint8 each; repeats them when there are too few. Needs Pillow."""
    from PIL import Image  # noqa: PLC0415 (needed with --photos alone)

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [
        np.asarray(Image.open(file).convert("RGB").resize((side_px, side_px))) for file in files[:count]
    ]
    return [photos[index % len(photos)] for index in range(count)]


def check_placement(bench: Bench, tensors: Tensors, report: Report) -> None:
    """Run once with the runtime's profiler on, and count what ran where."""
    with tempfile.TemporaryDirectory() as folder:
        options = gpu_session_options(bench.runtime)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = open_session(bench.runtime, bench.request(Provider.CUDA), options)
        for _ in range(2):
            session.run([NAMES.output_name], {NAMES.input_name: tensors[0][np.newaxis]})
        events = json.loads(Path(session.end_profiling()).read_text())
    # The times are of little use: a kernel on the GPU counts only as long as it takes to launch.
    counts: dict[str, Counter[str]] = {}
    for event in events:
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and "provider" in arguments:
            counts.setdefault(arguments["provider"], Counter())[arguments.get("op_name", "?")] += 1
    on_cuda = counts.get("CUDAExecutionProvider", Counter())
    elsewhere = sum((found for name, found in counts.items() if name != "CUDAExecutionProvider"), Counter())
    report.figures["runs of nodes on CUDA"] = on_cuda.total()
    report.figures["runs of nodes elsewhere"] = elsewhere.total()
    passed = on_cuda.total() > 0 and not HEAVY_NODES & set(elsewhere)
    report.check("nodes on CUDA", passed, f"{on_cuda.total()} there, elsewhere {dict(elsewhere) or 'none'}")


def check_batches(engine: Engine, tensors: Tensors, report: Report, name: str) -> None:
    """Compare every batch size, the odd ones too, with its items run alone."""
    alone = np.concatenate([engine.infer([tensor]) for tensor in tensors]).astype(np.int16)
    worst, share = 0, 0.0
    for size in sorted({*bucket_sizes(len(tensors)), 3, min(5, len(tensors)), len(tensors) - 1} - {0, 1}):
        together = engine.infer(tensors[:size]).astype(np.int16)
        difference = np.abs(together - alone[:size])
        worst = max(worst, int(difference.max()))
        share = max(share, float((difference > BATCH_TOLERANCE).mean()))
    report.figures[f"{name}: largest difference of 255"] = worst
    detail = f"largest difference {worst}/255, {share:.2%} of the pixels above {BATCH_TOLERANCE}"
    report.check(name, worst <= BATCH_TOLERANCE, detail)


def compare(one: Engine, other: Engine, tensors: Tensors, report: Report, name: str) -> None:
    """Compare two engines' mattes of the same tensors."""
    mattes = [
        np.concatenate([engine.infer([tensor]) for tensor in tensors]).astype(np.float32)
        for engine in (one, other)
    ]
    difference = np.abs(mattes[0] - mattes[1]) / 255
    mean, worst = float(difference.mean()), float(difference.max())
    report.figures[f"{name}: mean difference"] = mean
    report.check(name, mean <= PRECISION_TOLERANCE, f"mean {mean:.5f}, worst pixel {worst:.3f} (of 1)")


def measure(engine: Engine, tensors: Tensors, seconds: float) -> float:
    """Return images a second of one batch size, with as many threads as the engine takes."""
    engine.infer(tensors)
    engine.infer(tensors)
    start_s = time.perf_counter()
    done: list[int] = []

    def run() -> None:
        while time.perf_counter() - start_s < seconds:
            engine.infer(tensors)
            done.append(len(tensors))

    threads = [threading.Thread(target=run) for _ in range(engine.info.depth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start_s)


def measure_ways(bench: Bench, tensors: Tensors, report: Report, until_s: float, seconds: float) -> None:
    """Fill the table of throughput; what does not fit the time or the device is named as skipped."""
    ways: dict[str, Callable[[], Engine]] = {
        "plain run": lambda: bench.plain(Provider.CUDA),
        "IOBinding, pageable": lambda: bench.bound(NoPinner()),
        "IOBinding, pinned": lambda: bench.bound(CudaPinner.find()),
        "pinned, two in flight": lambda: bench.bound(CudaPinner.find(), depth=2),
        "CUDA graphs": lambda: bench.bound(CudaPinner.find(), cuda_graphs=True),
    }
    for name, open_engine in ways.items():
        cells = report.throughput[name] = {}
        try:
            engine = open_engine()
        except DeviceUnavailable as error:
            report.skipped.append(f"{name}: {error}")
            continue
        for size in bucket_sizes(len(tensors)):
            if time.monotonic() > until_s:
                report.skipped.append(f"{name} at {size}: no time left")
                break
            try:
                cells[size] = measure(engine, tensors[:size], seconds)
            except EngineFailed as error:
                report.skipped.append(f"{name} at {size}: {error.__cause__}")
                break
        engine.close()
        print(
            f"      {name}: " + ", ".join(f"{size}: {rate:.0f}/s" for size, rate in cells.items()), flush=True
        )


def print_table(report: Report) -> None:
    """Print throughput as a Markdown table, and what was left out."""
    sizes = sorted({size for cells in report.throughput.values() for size in cells})
    print("\n| images a second, batch of | " + " | ".join(map(str, sizes)) + " |")
    print("|---|" + "--:|" * len(sizes))
    for name, cells in report.throughput.items():
        print(
            f"| {name} | "
            + " | ".join(f"{cells[size]:.0f}" if size in cells else "–" for size in sizes)
            + " |"
        )
    for line in report.skipped:
        print(f"skipped: {line}")


def read_side(path: Path) -> int | None:
    """Read the network's side from the record that lies beside a prepared model."""
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads(path.with_suffix(".json").read_text())["side_px"])
    return None


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--model-path", type=Path, required=True, help="prepared model, half precision as served"
    )
    parser.add_argument("--fp32-model-path", type=Path, help="the same model prepared in single precision")
    parser.add_argument(
        "--side-px", type=int, help="the network's side, when no record lies beside the model"
    )
    parser.add_argument("--photos", type=Path, help="folder of photos; drawn scenes without it")
    parser.add_argument("--max-batch-size", type=int, default=16)
    parser.add_argument("--device-id", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.5, help="time measured for each cell of the table")
    parser.add_argument("--budget-s", type=float, default=420, help="no new measurement after this time")
    parser.add_argument("--json", type=Path, help="where to write the report")
    arguments = parser.parse_args()
    arguments.side_px = arguments.side_px or read_side(arguments.model_path)
    for path in (arguments.model_path, arguments.fp32_model_path):
        if path is not None and not path.is_file():
            parser.error(f"no such file: {path}")
    if not arguments.side_px:
        parser.error("--side-px is needed: no record lies beside the model")
    return arguments


def run_checks(bench: Bench, arguments: argparse.Namespace, report: Report) -> None:
    """Run everything on one GPU. Raises DeviceUnavailable when it cannot be used."""
    until_s = time.monotonic() + arguments.budget_s
    count, side_px = bench.max_batch_size, bench.side_px
    tensors = (
        load_photos(arguments.photos, count, side_px) if arguments.photos else make_scenes(count, side_px)
    )
    engine = bench.bound(CudaPinner.find())
    engine.infer(tensors[:1])
    report.check(
        "CUDA", True, "the session was opened on CUDA, its fallback to the CPU is off, and a batch ran"
    )
    pinner = CudaPinner.find()
    report.check("pinned memory", not isinstance(pinner, NoPinner), f"{type(pinner).__name__}")
    check_placement(bench, tensors, report)
    check_batches(engine, tensors, report, "batch against single")
    with closing(bench.plain(Provider.CUDA)) as plain:
        compare(engine, plain, tensors[:4], report, "IOBinding against plain")
    try:
        with closing(bench.bound(CudaPinner.find(), cuda_graphs=True)) as graphs:
            check_batches(graphs, tensors, report, "batch against single, CUDA graphs")
            compare(engine, graphs, tensors[:4], report, "CUDA graphs against none")
    except (DeviceUnavailable, EngineFailed) as error:
        report.skipped.append(f"CUDA graphs: {error.__cause__ or error}")
    if arguments.fp32_model_path:
        fp32 = replace(bench, path=arguments.fp32_model_path)
        with closing(fp32.bound(CudaPinner.find())) as on_gpu, closing(fp32.plain(Provider.CPU)) as on_cpu:
            check_batches(on_gpu, tensors, report, "batch against single, fp32")
            compare(engine, on_gpu, tensors[:4], report, "fp16 against fp32")
            compare(on_gpu, on_cpu, tensors[:2], report, "fp32, CUDA against CPU")
    engine.close()
    measure_ways(bench, tensors, report, until_s, arguments.seconds)


def main() -> int:
    """Run, print, write; return the exit code."""
    arguments = parse_arguments()
    try:
        runtime = load_runtime()
        plan_device(runtime, DeviceChoice.CUDA)
        report = Report(f"{platform.node()} | {fingerprint('cuda', 1, runtime.ort.__version__)}")
        print(report.machine, flush=True)
        bench = Bench(
            runtime, arguments.model_path, arguments.side_px, arguments.max_batch_size, arguments.device_id
        )
        run_checks(bench, arguments, report)
    except DeviceUnavailable as error:
        print(f"No GPU can be used here. {error}", file=sys.stderr)
        return 2
    print_table(report)
    text = json.dumps(asdict(report), indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    else:
        print(text)
    return 0 if all(report.checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
