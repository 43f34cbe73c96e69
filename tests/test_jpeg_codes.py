"""JPEGs without restart markers, decoded in bands: the same samples and the same outcome of damage as in one piece."""

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_jpeg import encoded, in_bands, scene

from convfilter.errors import PictureError, ReadError
from convfilter.picture.jpeg import codes as jpeg_codes
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg import read as jpeg_read
from convfilter.picture.jpeg import rows as jpeg_rows
from convfilter.picture.jpeg.codes import HuffmanTable
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.read import opened, read
from convfilter.pipeline import Options, filter_file

SUBSAMPLINGS = ["444", "422", "420", "440", "411", None]


@pytest.fixture(autouse=True)
def small_pictures_in_bands(monkeypatch):
    """Decode pictures of any size in bands of two rows of MCUs."""
    monkeypatch.setattr(jpeg_rows, "LEAST_BYTES", 0)
    monkeypatch.setattr(jpeg_rows, "LEAST_COPIED_BYTES", 0)
    monkeypatch.setattr(jpeg_rows, "BAND_BYTES", 0)
    monkeypatch.setattr(jpeg_rows, "BAND_MCU_ROWS", 2)


def jpeg_of(pixels, subsampling, quality=85, optimize=False):
    pixels = pixels if subsampling else np.ascontiguousarray(pixels[..., 0])
    return bytes(imagecodecs.jpeg8_encode(pixels, level=quality, subsampling=subsampling, optimize=optimize))


@pytest.fixture
def never_whole(monkeypatch):
    """Fail if a picture is decoded in one piece although its first bands were decoded."""

    def rows_of(data, layout, whole, threads):
        return jpeg_rows.rows_of(data, layout, lambda: pytest.fail("decoded in one piece"), threads)

    monkeypatch.setattr(jpeg_read, "rows_of", rows_of)


@pytest.mark.usefixtures("never_whole")
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(320, 61), (197, 240), (193, 16), (129, 1)])
@pytest.mark.parametrize("optimize", [False, True], ids=["standard", "optimised"])
@pytest.mark.parametrize("quality", [1, 85, 100])
def test_bands_are_the_rows_of_the_picture(subsampling, size, optimize, quality):
    data = jpeg_of(scene(*size), subsampling, quality, optimize)
    np.testing.assert_array_equal(in_bands(data), decoder.decode(data))


@pytest.mark.usefixtures("never_whole")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bands_of_several_threads_come_in_order(threads):
    data = jpeg_of(scene(2000, 40), "420")
    np.testing.assert_array_equal(in_bands(data, threads), decoder.decode(data))


@pytest.mark.usefixtures("never_whole")
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from(SUBSAMPLINGS), st.integers(65, 160), st.integers(1, 70),
    st.integers(1, 100), st.booleans(), st.sampled_from([0, 3, 40, 200]),
)  # fmt: skip
def test_bands_of_any_coefficients(seed, subsampling, height, width, quality, optimize, noise):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (1, 1, 3)) + rng.normal(0, noise, (height, width, 3))
    data = jpeg_of(np.clip(pixels, 0, 255).astype(np.uint8), subsampling, quality, optimize)
    np.testing.assert_array_equal(in_bands(data), decoder.decode(data))


@pytest.mark.usefixtures("never_whole")
def test_sampling_factors_of_the_only_component_do_not_matter():
    data = bytearray(jpeg_of(scene(197, 61), None))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x22
    np.testing.assert_array_equal(in_bands(bytes(data)), decoder.decode(bytes(data)))


@pytest.mark.usefixtures("never_whole")
def test_categories_that_an_optimised_table_lacks_are_added():
    """Differences of a flat picture are 0, but its first coefficient is not; in a band it is a difference from 0."""
    pixels = np.full((160, 32, 3), (255, 0, 40), np.uint8)
    pixels[:8, :8] = 128
    data = jpeg_of(pixels, "444", 100, optimize=True)
    coding = jpeg_codes.coding_of(data)
    stored = [block.dc for block in coding.blocks if block.is_first]
    assert all(len(table.symbols) < 12 for table in stored)
    assert all(set(range(12)) <= set(table.symbols) for table in coding.tables)
    for before, after in zip(stored, coding.tables, strict=True):
        assert before.codes().items() <= after.codes().items()
    np.testing.assert_array_equal(in_bands(data), decoder.decode(data))


def longest_table():
    """Return a table of DC differences with one code of each length up to 16 bits: no code is free."""
    return HuffmanTable(bytes([1] * 16), bytes(range(1, 12)) + bytes(range(12, 17)))


def test_a_table_without_room_for_all_categories_is_left_to_the_decoder():
    assert longest_table().is_valid
    assert longest_table().with_all_categories() is None
    data = jpeg_of(scene(197, 61), None)
    tables = b"\xff\xc4\x00\x23\x00" + longest_table().counts + longest_table().symbols
    at = data.index(b"\xff\xda")
    data = data[:at] + tables + data[at:]
    assert jpeg_codes.coding_of(data) is None
    with opened(io.BytesIO(data)) as picture:
        assert "one piece" in picture.frames[0].streaming_obstacle


INVALID = {
    "too many codes": ([3] + [0] * 15, range(3)),
    "a code of ones alone": ([2] + [0] * 15, range(2)),
    "symbols cut off": ([0, 2] + [0] * 14, range(1)),
    "too many symbols": ([0] * 8 + [255, 200] + [0] * 6, [1] * 455),
}


@pytest.mark.parametrize(("counts", "symbols"), INVALID.values(), ids=INVALID)
def test_invalid_tables_are_found(counts, symbols):
    assert not HuffmanTable(bytes(counts), bytes(symbols)).is_valid


@pytest.mark.parametrize("kind", [{"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_other_pictures_are_not_copied(monkeypatch, kind):
    monkeypatch.setattr(jpeg_codes, "CopiedCodes", lambda *arguments: pytest.fail("copied"))
    data = encoded(scene(197, 61), **kind)
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, decoder.decode(data))


def test_scans_of_single_components_are_decoded_in_one_piece():
    data = jpeg_of(scene(197, 61), "444")
    scan = data.index(b"\xff\xda")
    separate = data[: scan + 2] + b"\x00\x08\x01\x01\x00\x00\x3f\x00" + data[scan + 14 :]
    with opened(io.BytesIO(separate)) as picture:
        assert picture.frames[0].lazy_rows is None


# Damage ----------------------------------------------------------------------------


def outcome(data, least, monkeypatch):
    """Return the samples, or the error's message and remedy."""
    monkeypatch.setattr(jpeg_rows, "LEAST_COPIED_BYTES", least)
    try:
        return read(io.BytesIO(data), ReadOptions(threads=1)).pixels
    except PictureError as error:
        return error.problem, error.remedy


def require_same_outcome(data, monkeypatch):
    bands, whole = (outcome(data, least, monkeypatch) for least in (0, 1 << 60))
    if isinstance(whole, np.ndarray):
        np.testing.assert_array_equal(bands, whole)
    else:
        assert bands == whole


DAMAGED = [("420", 90), ("444", 50), (None, 100)]


@pytest.mark.parametrize(("subsampling", "quality"), DAMAGED)
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["without end", "with end"])
def test_a_cut_picture_is_judged_as_in_one_piece(monkeypatch, subsampling, quality, end):
    data = jpeg_of(scene(90, 61), subsampling, quality)
    for size in range(layout_of(data).data_start, len(data), 97):
        require_same_outcome(data[:size] + end, monkeypatch)


@pytest.mark.parametrize(("subsampling", "quality"), DAMAGED)
@pytest.mark.parametrize("where", ["codes", "header"])
def test_a_damaged_picture_is_judged_as_in_one_piece(monkeypatch, subsampling, quality, where):
    data = jpeg_of(scene(90, 61), subsampling, quality)
    scan = layout_of(data).scan
    rng = np.random.default_rng(quality)
    for _ in range(60):
        damaged = bytearray(data)
        at = int(rng.integers(2, scan.codes_start) if where == "header" else rng.integers(scan.codes_start, len(data)))
        damaged[at] = int(rng.integers(256)) if where == "header" else damaged[at] ^ 1 << int(rng.integers(8))
        require_same_outcome(bytes(damaged), monkeypatch)


@pytest.mark.parametrize("inserted", [b"\0" * 5, b"\xff\x00" * 4, b"\xff\xd0", b"\xff\xff\x00", b"\xff\xc4\x00\x02"])
@pytest.mark.parametrize("place", [0.0, 0.6, 1.0], ids=["first", "inside", "behind"])
def test_surplus_bytes_are_judged_as_in_one_piece(monkeypatch, inserted, place):
    data = jpeg_of(scene(90, 61), "420")
    layout = layout_of(data)
    start, end = layout.scan.codes_start, layout.data_end
    at = start + int(place * (end - start))
    require_same_outcome(data[:at] + inserted + data[at:], monkeypatch)


@pytest.mark.parametrize("number", [0x00, 0x10], ids=["DC", "AC"])
def test_a_table_without_codes_is_judged_as_in_one_piece(monkeypatch, number):
    data = jpeg_of(scene(90, 61), None)
    at = data.index(b"\xff\xda")
    require_same_outcome(data[:at] + b"\xff\xc4\x00\x13" + bytes((number, *[0] * 16)) + data[at:], monkeypatch)


BEHIND = {
    "a scan": b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12\x34",
    "an unknown marker": b"\xff\xbd",
    "a comment after fill bytes": b"\xff\xff\xff\xfe\x00\x03a",
    "fill bytes": b"\xff\xff\xff",
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
@pytest.mark.parametrize("subsampling", ["420", None])
@pytest.mark.parametrize("height", [90, 65])
def test_markers_after_the_codes_are_judged_as_in_one_piece(monkeypatch, behind, subsampling, height):
    """Of 65 rows with 4:2:0, the last comes from the band before the last."""
    data = jpeg_of(scene(height, 61), subsampling)
    require_same_outcome(data[:-2] + behind + data[-2:], monkeypatch)


def test_codes_that_no_table_has_are_found():
    """Sixteen ones are not a code; libjpeg decodes them as 0, and goes on."""
    data = jpeg_of(scene(400, 61), "420")
    layout = layout_of(data)
    middle = (layout.scan.codes_start + layout.data_end) // 2
    damaged = data[:middle] + b"\xff\x00" * 3 + data[middle + 6 :]
    layout = layout_of(damaged)
    codes = jpeg_codes.CopiedCodes(damaged, layout, layout.scan, jpeg_codes.coding_of(damaged), 2, 1)
    assert codes.rows(0, 3)
    for _ in range(2):
        with pytest.raises(jpeg_codes.DamagedCodesError):
            codes.rows(layout.scan.down - 1, layout.scan.down)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_picture_that_is_damaged_late_is_decoded_as_in_one_piece(tmp_path, monkeypatch, threads):
    """The first bands are filtered before the damage is found; then the rest is taken from the whole picture."""
    data = bytearray(jpeg_of(scene(2000, 40), "420"))
    at = int(len(data) * 0.7)
    data[at : at + 6] = b"\xff\x00" * 3
    (tmp_path / "in.jpg").write_bytes(data)
    options = Options(["gaussian:2"], threads=threads)
    for least, name in ((0, "bands.png"), (1 << 60, "whole.png")):
        monkeypatch.setattr(jpeg_rows, "LEAST_COPIED_BYTES", least)
        assert bool(filter_file(str(tmp_path / "in.jpg"), str(tmp_path / name), options).not_streamed) == bool(least)
    assert (tmp_path / "bands.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_picture_that_ends_early_leaves_the_old_output(tmp_path, threads):
    """libjpeg leaves the missing rows grey, which is found when the picture is decoded in one piece."""
    data = jpeg_of(scene(2000, 40), "420")
    (tmp_path / "in.jpg").write_bytes(data[: len(data) * 2 // 3] + b"\xff\xd9")
    (tmp_path / "out.png").write_bytes(b"old")
    with pytest.raises(ReadError, match="ends before its last row"):
        filter_file(str(tmp_path / "in.jpg"), str(tmp_path / "out.png"), Options(["box:3"], threads=threads))
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("least", [0, 1 << 60], ids=["bands", "one piece"])
def test_the_readable_part_of_a_picture_that_ends_early_is_decoded(monkeypatch, least):
    monkeypatch.setattr(jpeg_rows, "LEAST_COPIED_BYTES", least)
    data = jpeg_of(scene(400, 61), "420")
    cut = data[: len(data) * 2 // 3] + b"\xff\xd9"
    picture = read(io.BytesIO(cut), ReadOptions(lenient=True))
    np.testing.assert_array_equal(picture.pixels, decoder.decode(cut))
    assert any("ends before its last row" in note for note in picture.notes)


def test_a_picture_in_bands_gives_its_rows_again(monkeypatch):
    data = jpeg_of(scene(400, 61), "420")
    with opened(io.BytesIO(data), ReadOptions(threads=1)) as picture:
        source = picture.frames[0].lazy_rows
        first = np.empty((90, *source.shape[1:]), np.uint8)
        source.read(first)
        source.restart()
        np.testing.assert_array_equal(source.decoded(), np.asarray(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(first, decoder.decode(data)[:90])
