"""The catalogue's entries: the shipped ones are sound, and a mistake is named with its file and key."""

from pathlib import Path

import pytest

from alphacut_server.catalogue.faults import CatalogueInvalid, NotInCatalogue
from alphacut_server.catalogue.loader import Catalogue, default_folder, load_catalogue, load_spec
from alphacut_server.catalogue.spec import Algorithm, HttpsSource, NpmSource, WheelSource
from alphacut_server.errors import UnknownModel
from support.catalogue import make_spec

GOOD = """\
description = "A model."
weights_license = "MIT"
license_note = "LICENSE"
side_px = 320
mean = [0.5, 0.5, 0.5]
std = [1, 1.0, 1.0]
[file]
sha256 = "{sha}"
size_bytes = 10
[[file.sources]]
kind = "https"
url = "https://example.org/w.onnx"
""".format(sha="a" * 64)


def write(tmp_path: Path, text: str, model_id: str = "net") -> Path:
    """Write an entry and return its manifest."""
    folder = tmp_path / model_id
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text(text, encoding="utf-8")
    return folder / "model.toml"


def test_shipped_catalogue_lists_the_models_smallest_first() -> None:
    """What is shipped loads, in the order of size, with the three that are pulled from package registries."""
    catalogue = load_catalogue()

    ids = catalogue.ids

    assert ids[0] == "u2netp"
    assert set(ids) == {"u2netp", "u2net", "isnet", "isnet-general-use", "birefnet-lite", "birefnet-general"}
    sizes = [spec.file.size_bytes for spec in catalogue]
    assert sizes == sorted(sizes)
    assert len(catalogue) == 6


@pytest.mark.parametrize("model_id", load_catalogue().ids)
def test_every_shipped_entry_has_a_card_that_names_its_licence(model_id: str) -> None:
    """A model without a card, or with one that does not name the weights' licence, is not shipped."""
    spec = load_catalogue().get(model_id)

    card = (default_folder() / model_id / "CARD.md").read_text(encoding="utf-8")

    assert spec.weights_license in card
    assert str(spec.side_px) in card
    assert spec.license_note


def test_sources_of_every_kind_are_read() -> None:
    """The shipped entries use all three kinds, in the order they are tried."""
    catalogue = load_catalogue()

    assert [type(source) for source in catalogue.get("u2netp").file.sources] == [WheelSource, HttpsSource]
    assert [type(source) for source in catalogue.get("isnet").file.sources] == [NpmSource]
    wheel = catalogue.get("u2net").file.sources[0]
    assert isinstance(wheel, WheelSource)
    assert wheel.python_version == "3.10"


def test_md5_stands_in_only_where_no_sha256_is_published() -> None:
    """The strongest checksum known is the one that decides."""
    catalogue = load_catalogue()

    assert catalogue.get("u2netp").file.checksum.algorithm is Algorithm.SHA256
    assert catalogue.get("birefnet-lite").file.checksum.algorithm is Algorithm.MD5


def test_unknown_id_names_the_nearest_and_all_known() -> None:
    """A typing mistake is answered with what was probably meant; transports map it like any unknown model."""
    catalogue = Catalogue([make_spec(model_id="u2netp"), make_spec(model_id="isnet")])

    with pytest.raises(NotInCatalogue) as caught:
        catalogue.get("u2net-p")

    assert "Did you mean 'u2netp'?" in caught.value.message
    assert "isnet" in str(caught.value)
    assert isinstance(caught.value, UnknownModel)


def test_id_like_no_other_gets_no_suggestion() -> None:
    """Nothing is suggested where nothing is near."""
    with pytest.raises(NotInCatalogue) as caught:
        Catalogue([make_spec(model_id="isnet")]).get("zzz")

    assert "Did you mean" not in caught.value.message


def test_defaults_apply_where_an_entry_is_silent(tmp_path: Path) -> None:
    """Names, batch, precision and sides may be left out."""
    spec = load_spec(write(tmp_path, GOOD))

    assert spec.id == "net"
    assert (spec.input_name, spec.output_name, spec.output_is_logits) == ("", "", False)
    assert (spec.max_batch_size, spec.fp16, spec.other_sides_px) == (None, True, ())
    assert spec.std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("side_px = 320", "", "side_px is missing"),
        ("side_px = 320", "side_px = 0", "side_px must be a whole number"),
        ("side_px = 320", "side_px = true", "side_px must be a whole number"),
        ("side_px = 320", "side_px = 320\nother_sides_px = [0]", "other_sides_px must be"),
        ("side_px = 320", "side_px = 320\nsied_px = 3", "sied_px is no known key"),
        ("side_px = 320", "side_px = 320\nfp16 = 1", "fp16 must be true or false"),
        ("side_px = 320", "side_px = 320\nmax_batch_size = 4", "max_batch_size must be"),
        ('description = "A model."', 'description = " "', "description must be a string"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5]", "mean must be three numbers"),
        ("mean = [0.5, 0.5, 0.5]", 'mean = ["a", 1, 2]', "mean must be a list of numbers"),
        ("mean = [0.5, 0.5, 0.5]", "mean = 0.5", "mean must be a list of numbers"),
        ("std = [1, 1.0, 1.0]", "std = [1, 0.0, 1.0]", "std must be above 0"),
        ('"https://example.org/w.onnx"', '"http://example.org/w.onnx"', "file.sources[0].url must begin"),
        ('kind = "https"', 'kind = "ftp"', "file.sources[0].kind is 'ftp'"),
        ('url = "', 'mirror = "x"\nurl = "', "file.sources[0].mirror is no known key"),
        ("a" * 64, "A" * 64, "file.sha256 must be lower-case hexadecimal"),
        ("size_bytes = 10", 'size_bytes = "10"', "file.size_bytes must be a whole number"),
        ("[[file.sources]]", "[other]", "file.sources is missing"),
        ("side_px = 320", "side_px = ", "Invalid value"),
    ],
)
def test_mistake_is_named_with_its_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    """Every mistake says which file and which key."""
    manifest = write(tmp_path, GOOD.replace(old, new))

    with pytest.raises(CatalogueInvalid) as caught:
        load_spec(manifest)

    assert named in caught.value.message
    assert str(manifest) in caught.value.message


def test_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """The weights' description must be a table."""
    manifest = write(tmp_path, GOOD.split("[file]")[0] + 'file = "x"')

    with pytest.raises(CatalogueInvalid, match="file must be a table"):
        load_spec(manifest)


def test_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    """What cannot be checked is never pulled."""
    manifest = write(tmp_path, GOOD.replace(f'sha256 = "{"a" * 64}"', ""))

    with pytest.raises(CatalogueInvalid, match="never pulled"):
        load_spec(manifest)


@pytest.mark.parametrize("member", ["/etc/passwd", "a/../../b"])
def test_member_outside_its_archive_is_refused(tmp_path: Path, member: str) -> None:
    """A path in an entry stays inside the package."""
    wheel = f'kind = "wheel"\npackage = "p"\nversion = "1"\nmember = "{member}"'
    manifest = write(tmp_path, GOOD.replace('kind = "https"\nurl = "https://example.org/w.onnx"', wheel))

    with pytest.raises(CatalogueInvalid, match="member must be a relative path"):
        load_spec(manifest)


@pytest.mark.parametrize("model_id", ["emulated", "Net", "a_b"])
def test_folder_name_that_cannot_be_an_id_is_refused(tmp_path: Path, model_id: str) -> None:
    """Reserved names and names that are no ids are refused."""
    manifest = write(tmp_path, GOOD, model_id)

    with pytest.raises(CatalogueInvalid, match="cannot be an id"):
        load_spec(manifest)


def test_empty_folder_says_that_the_installation_is_not_whole(tmp_path: Path) -> None:
    """No entries at all is a broken installation, not an empty catalogue."""
    with pytest.raises(CatalogueInvalid, match="not whole"):
        load_catalogue(tmp_path)
