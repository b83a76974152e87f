"""Where the network runs is what was asked for, or a start that fails with what is missing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from alphacut_server.engine.engine import Provider
from alphacut_server.engine.providers import DeviceChoice, SessionRequest, open_session, plan_device
from alphacut_server.engine.runtime import DeviceUnavailable, ProviderEntry
from alphacut_server.errors import ModelCorrupt
from support.fake_ort import CPU, CUDA, TENSORRT, FakeOrt, FakeOrtFailure, FakeSessionOptions, make_runtime

GPU_BUILD = (TENSORRT, CUDA, CPU)


def make_request(
    provider: Provider, *, cuda_graphs: bool = False, cache: Path | None = None
) -> SessionRequest:
    """Ask for a 320 px model in batches of up to 8 on the second GPU."""
    return SessionRequest(
        path=Path("some.onnx"),
        provider=provider,
        side_px=320,
        input_name="tensor",
        max_batch_size=8,
        device_id=1,
        cuda_graphs=cuda_graphs,
        tensorrt_cache=cache,
    )


@pytest.mark.parametrize(
    ("choice", "build", "gpu", "candidates"),
    [
        (DeviceChoice.CPU, (CPU,), False, (Provider.CPU,)),
        (DeviceChoice.CPU, GPU_BUILD, True, (Provider.CPU,)),
        (DeviceChoice.CUDA, GPU_BUILD, True, (Provider.CUDA,)),
        # Not every platform shows a device node: asked for by name, CUDA is tried.
        (DeviceChoice.CUDA, GPU_BUILD, False, (Provider.CUDA,)),
        (DeviceChoice.TENSORRT, GPU_BUILD, True, (Provider.TENSORRT,)),
        (DeviceChoice.AUTO, (CPU,), False, (Provider.CPU,)),
        (DeviceChoice.AUTO, (CPU,), True, (Provider.CPU,)),
        (DeviceChoice.AUTO, GPU_BUILD, False, (Provider.CPU,)),
        (DeviceChoice.AUTO, GPU_BUILD, True, (Provider.CUDA, Provider.CPU)),
    ],
)
def test_only_auto_has_a_second_candidate(
    choice: DeviceChoice, build: tuple[str, ...], gpu: bool, candidates: tuple[Provider, ...]
) -> None:
    """A device asked for by name is never replaced by another."""
    runtime = make_runtime(FakeOrt(available=build))

    plan = plan_device(runtime, choice, lambda: gpu)

    assert plan.candidates == candidates
    assert plan.note


@pytest.mark.parametrize(
    ("choice", "build"),
    [(DeviceChoice.CUDA, (CPU,)), (DeviceChoice.TENSORRT, (CPU,)), (DeviceChoice.TENSORRT, (CUDA, CPU))],
)
def test_a_build_without_the_provider_is_refused_with_the_package_to_install(
    choice: DeviceChoice, build: tuple[str, ...]
) -> None:
    """The GPU package is missing: said at start, before any model is touched."""
    runtime = make_runtime(FakeOrt(available=build))

    with pytest.raises(DeviceUnavailable, match=r"alphacut\[server,gpu\]"):
        plan_device(runtime, choice, lambda: True)


@pytest.mark.parametrize(
    ("provider", "working"),
    [
        (Provider.CUDA, (CPU,)),
        (Provider.TENSORRT, (CPU,)),
        (Provider.TENSORRT, (CUDA, CPU)),
    ],
)
def test_a_session_on_another_provider_is_refused(provider: Provider, working: tuple[str, ...]) -> None:
    """The runtime comes back on the next best provider without an exception; the engine does not accept it."""
    runtime = make_runtime(FakeOrt(available=GPU_BUILD, working=working))

    with pytest.raises(DeviceUnavailable, match=f"came back on {working[0]}"):
        open_session(runtime, make_request(provider), FakeSessionOptions())


@pytest.mark.parametrize(
    ("provider", "gpu", "hint"),
    [
        (Provider.CUDA, False, "container must be started with the GPU"),
        (Provider.CUDA, True, "driver must be as new"),
        (Provider.TENSORRT, True, "'cuda' works without"),
        (Provider.TENSORRT, False, "container must be started with the GPU"),
    ],
)
def test_the_message_says_what_helps_on_this_machine(provider: Provider, gpu: bool, hint: str) -> None:
    """No device node, an old driver and TensorRT's own package are three different repairs."""
    runtime = make_runtime(FakeOrt(available=GPU_BUILD))

    with pytest.raises(DeviceUnavailable, match=hint):
        open_session(runtime, make_request(provider), FakeSessionOptions(), has_gpu=lambda: gpu)


def test_the_libraries_that_do_not_load_are_named_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """What the runtime prints while it loads CUDA becomes part of the message."""
    complaints = (
        "Failed to load /venv/nvidia/lib/libcublasLt.so.13: wrong ELF class\n"
        "Failed to load libcublasLt.so.13: not found\n"
        "Failed to load libcurand.so.10: not found\n"
        "Please follow the instructions."
    )
    runtime = make_runtime(FakeOrt(available=GPU_BUILD, preload_prints=complaints))

    with pytest.raises(
        DeviceUnavailable, match=r"Missing libraries: libcublasLt\.so\.13, libcurand\.so\.10\. "
    ):
        open_session(runtime, make_request(Provider.CUDA), FakeSessionOptions())

    assert capsys.readouterr().out == ""


def test_a_preload_that_raises_does_not_hide_a_working_device() -> None:
    """Libraries may still be found on the system's path: the session decides."""

    class BrokenPreload(FakeOrt):
        def preload_dlls(self) -> None:
            raise RuntimeError("no such directory")

    runtime = make_runtime(BrokenPreload(available=GPU_BUILD, working=(CUDA, CPU)))

    session = open_session(runtime, make_request(Provider.CUDA), FakeSessionOptions())

    assert session.get_providers()[0] == CUDA


def test_a_raising_session_is_unavailable_with_the_runtimes_own_words() -> None:
    """As when the driver is older than CUDA, or the model asks for what the provider lacks."""
    error = FakeOrtFailure("CUDA failure 35: driver version is insufficient")
    runtime = make_runtime(FakeOrt(available=GPU_BUILD, session_error=error))

    with pytest.raises(DeviceUnavailable, match="driver version is insufficient"):
        open_session(runtime, make_request(Provider.CUDA), FakeSessionOptions())


def test_on_the_cpu_a_raising_session_means_a_broken_model() -> None:
    """Nothing can be missing there; the message holds no path."""
    runtime = make_runtime(FakeOrt(session_error=FakeOrtFailure("Load model from /secret/some.onnx failed")))

    with pytest.raises(ModelCorrupt) as caught:
        open_session(runtime, make_request(Provider.CPU), FakeSessionOptions())

    assert "some.onnx" not in caught.value.message


@pytest.mark.parametrize("provider", [Provider.CPU, Provider.CUDA, Provider.TENSORRT])
def test_the_runtimes_own_fallback_is_always_off(provider: Provider) -> None:
    """It would repeat a failing session, and later a failing run, on the CPU in silence."""
    ort = FakeOrt(available=GPU_BUILD, working=GPU_BUILD)

    open_session(make_runtime(ort), make_request(provider), FakeSessionOptions())

    assert [opened.enable_fallback for opened in ort.opened] == [0]


def test_the_cpu_asks_for_nothing_but_itself() -> None:
    """No CUDA library is looked for, no other provider is offered to the session."""
    ort = FakeOrt(available=GPU_BUILD, working=GPU_BUILD)

    open_session(make_runtime(ort), make_request(Provider.CPU), FakeSessionOptions())

    assert ort.opened[0].providers == (CPU,)
    assert ort.preloads == 0


def split_entry(entry: ProviderEntry) -> tuple[str, Mapping[str, str]]:
    """Return a provider's name and its options."""
    return (entry, {}) if isinstance(entry, str) else entry


def test_cuda_runs_on_the_gpu_asked_for_and_never_searches_at_run_time() -> None:
    """The device id arrives; algorithms are chosen without trying them; graphs only on demand."""
    ort = FakeOrt(available=GPU_BUILD, working=GPU_BUILD)
    runtime = make_runtime(ort)

    for cuda_graphs in (False, True):
        open_session(runtime, make_request(Provider.CUDA, cuda_graphs=cuda_graphs), FakeSessionOptions())

    for opened, graphs in zip(ort.opened, ("0", "1"), strict=True):
        name, options = split_entry(opened.providers[0])
        assert (name, opened.providers[1:]) == (CUDA, (CPU,))
        assert options["device_id"] == "1"
        assert options["cudnn_conv_algo_search"] == "HEURISTIC"
        assert options["enable_cuda_graph"] == graphs


def test_tensorrt_builds_one_engine_for_all_batch_sizes_and_keeps_it(tmp_path: Path) -> None:
    """The profile spans 1 to the limit; with a folder given, engine and timings are cached in it."""
    ort = FakeOrt(available=GPU_BUILD, working=GPU_BUILD)
    runtime = make_runtime(ort)

    open_session(runtime, make_request(Provider.TENSORRT, cache=tmp_path), FakeSessionOptions())
    open_session(runtime, make_request(Provider.TENSORRT), FakeSessionOptions())

    cached, plain = (split_entry(opened.providers[0])[1] for opened in ort.opened)
    assert [split_entry(entry)[0] for entry in ort.opened[0].providers] == [TENSORRT, CUDA, CPU]
    assert cached["trt_profile_min_shapes"] == "tensor:1x320x320x3"
    assert cached["trt_profile_max_shapes"] == "tensor:8x320x320x3"
    assert cached["trt_engine_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_enable" not in plain
