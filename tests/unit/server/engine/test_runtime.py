"""Which ONNX Runtime is there, and whether it is whole."""

from types import ModuleType

import pytest

from alphacut_server.engine.runtime import DeviceUnavailable, installed_builds, load_runtime


def make_modules(*, complete: bool = True) -> dict[str, ModuleType]:
    """Make the two modules the loader imports."""
    module = ModuleType("onnxruntime")
    state = ModuleType("state")
    state.Fail = type("Fail", (Exception,), {})  # type: ignore[attr-defined]  # a module made by hand
    state.SessionOptions = type("SessionOptions", (), {})  # type: ignore[attr-defined]  # likewise
    if complete:
        module.InferenceSession = object  # type: ignore[attr-defined]  # likewise
    return {"onnxruntime": module, "onnxruntime.capi.onnxruntime_pybind11_state": state}


def test_two_builds_are_refused_with_the_commands_that_help() -> None:
    """Both write one folder; whichever came last would run in silence."""
    with pytest.raises(DeviceUnavailable, match="pip uninstall onnxruntime onnxruntime-gpu"):
        load_runtime(lambda: ("onnxruntime", "onnxruntime-gpu"), make_modules().__getitem__)


def test_no_build_names_both_extras() -> None:
    """The message tells what to install with and without a GPU."""

    def import_nothing(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}")

    with pytest.raises(DeviceUnavailable, match=r"\[server,cpu\].*\[server,gpu\]"):
        load_runtime(lambda: (), import_nothing)


def test_what_an_uninstall_left_behind_is_refused() -> None:
    """Of two builds with one uninstalled an empty package remains: importable, useless."""
    modules = make_modules(complete=False)

    with pytest.raises(DeviceUnavailable, match="incomplete"):
        load_runtime(lambda: ("onnxruntime",), modules.__getitem__)


def test_the_runtimes_exceptions_are_collected() -> None:
    """Its own classes and those that C++ errors become, and no class that is no exception."""
    modules = make_modules()

    runtime = load_runtime(lambda: ("onnxruntime",), modules.__getitem__)

    assert [failure.__name__ for failure in runtime.failures] == ["Fail", "RuntimeError", "MemoryError"]


def test_the_installed_runtime_loads() -> None:
    """The real package passes: one build, whole, with the CPU in it."""
    runtime = load_runtime()

    assert "CPUExecutionProvider" in runtime.ort.get_available_providers()
    assert len(installed_builds()) == 1
    assert {"Fail", "EPFail", "InvalidArgument"} <= {failure.__name__ for failure in runtime.failures}
