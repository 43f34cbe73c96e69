"""TIFFs with several pictures or further channels: each is filtered, or an error or a note names it."""

import io
import re

import numpy as np
import pytest
import tifffile
from samples import noise
from tiffs import by_hand

import convfilter as cf
from convfilter import pipeline
from convfilter.errors import PictureError, ReadError, WriteError
from convfilter.picture.options import WriteOptions
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.write import write


def tiff(*pages, **common):
    """Pages as (array, options)."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **common) as writer:
        for array, options in pages:
            kind = {"photometric": "rgb" if array.ndim == 3 else "minisblack"}
            writer.write(array, **({"metadata": None} | kind | options))
    buffer.seek(0)
    return buffer


def round_trip(picture, folder):
    write(resolve_target(folder / "a.tif"), picture)
    return tifffile.TiffFile(folder / "a.tif")


def filtered(source, folder, spec="box:3", **options):
    (folder / "in.tif").write_bytes(source.getvalue())
    report = pipeline.filter_file(
        str(folder / "in.tif"), str(folder / "out.tif"), pipeline.Options(specs=[spec], **options)
    )
    return report, tifffile.imread(folder / "out.tif")


# Bands


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(
    ("photometric", "bands"),
    [("minisblack", 2), ("minisblack", 3), ("minisblack", 7), ("rgb", 4), ("rgb", 5), ("separated", 6)],
)
def test_bands_of_unspecified_meaning_are_kept(tmp_path, dtype, planes, photometric, bands):
    pixels = noise((9, 11, bands), dtype)
    stored = pixels if planes == "contig" else np.moveaxis(pixels, 2, 0)
    colours = {"minisblack": 1, "rgb": 3, "separated": 4}[photometric]
    options = {"photometric": photometric, "planarconfig": planes, "extrasamples": ["unspecified"] * (bands - colours)}
    picture = read(tiff((stored, options)))
    assert (picture.extras, picture.alpha, picture.notes) == (bands - colours, False, ())
    np.testing.assert_array_equal(picture.pixels, pixels)
    again = round_trip(picture, tmp_path)
    with again:
        page = again.pages[0]
        np.testing.assert_array_equal(page.asarray(), pixels)
        assert int(page.photometric) == int(tifffile.PHOTOMETRIC[photometric.upper()])
        assert list(page.extrasamples) == [0] * (bands - colours)


def test_each_band_is_filtered_by_itself(tmp_path):
    pixels = noise((20, 31, 4), np.uint16)
    source = tiff((pixels, {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0, 0, 0]}))
    report, result = filtered(source, tmp_path)
    padded = np.pad(pixels.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    np.testing.assert_array_equal(result, np.rint(windows.sum(axis=(3, 4)) / 9))
    assert report.before == "31x20 gray+3 uint16"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_alpha_stays_where_it_stands_among_the_bands(tmp_path, at):
    kinds = ["unspecified", "unspecified"]
    kinds.insert(at, "unassalpha")
    pixels = noise((9, 11, 6))
    picture = read(tiff((pixels, {"extrasamples": kinds})))
    assert (picture.alpha, picture.extras) == (True, 2)
    np.testing.assert_array_equal(picture.pixels[:, :, -1], pixels[:, :, 3 + at])
    with round_trip(picture, tmp_path) as again:
        np.testing.assert_array_equal(again.pages[0].asarray(), pixels)
        assert [int(kind) for kind in again.pages[0].extrasamples] == [2 if n == at else 0 for n in range(3)]


def test_bands_after_a_palette_are_kept():
    table = noise((3, 256), np.uint16)
    pixels = noise((9, 11, 2))
    colours = (320, 3, 768, table.ravel().tolist(), True)
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0], "extratags": [colours]}
    data = bytearray(tiff((pixels, options)).getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        data[opened.pages[0].tags[262].valueoffset] = 3
    picture = read(io.BytesIO(bytes(data)))
    assert (picture.model, picture.extras) == ("rgb", 1)
    np.testing.assert_array_equal(picture.pixels[:, :, :3], table.T[pixels[:, :, 0]])
    np.testing.assert_array_equal(picture.pixels[:, :, 3], pixels[:, :, 1] * np.uint16(257))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "pam", "jp2", "bmp", "pfm"])
def test_formats_without_bands_refuse_them(tmp_path, suffix):
    picture = read(tiff((noise((9, 11, 4)), {"extrasamples": ["unspecified"]})))
    with pytest.raises(WriteError, match=r"no bands besides colours and transparency, the input has 1 more; use tiff"):
        write(resolve_target(tmp_path / f"a.{suffix}"), picture)


def test_options_that_need_colours_refuse_bands(tmp_path):
    source = tiff((noise((9, 11, 5)), {"extrasamples": ["unspecified", "unassalpha"]}))
    with pytest.raises(PictureError, match="no luminance"):
        filtered(source, tmp_path, gray=True)
    with pytest.raises(ReadError, match="cannot be filtered in linear light"):
        filtered(source, tmp_path, linear=True)
    with pytest.raises(WriteError, match="cannot be flattened"):
        filtered(source, tmp_path, write=WriteOptions(background="white"))


# Stacks with one directory

BEHIND_ONE = "ImageJ=1.53t\nimages={}\nslices=5\nloop=false\n"


def imagej(stack, count=None, cut=0, order="big"):
    """A stack as ImageJ writes it above 4 GB: one directory, followed by all data."""
    data = tiff(
        (stack[0], {"description": BEHIND_ONE.format(count or len(stack)), "software": False}),
        byteorder={"big": ">", "little": "<"}[order],
    ).getvalue()
    first = stack[0].astype(stack.dtype.newbyteorder(">" if order == "big" else "<")).tobytes()
    at = data.index(first) + len(first)
    assert at == len(data)
    rest = b"".join(
        each.astype(each.dtype.newbyteorder(">" if order == "big" else "<")).tobytes() for each in stack[1:]
    )
    return io.BytesIO(data + rest[: len(rest) - cut])


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(5, 12, 17), (3, 12, 17, 3)])
def test_all_slices_of_a_stack_with_one_directory_are_read(dtype, shape, order):
    stack = noise(shape, dtype)
    picture = read(imagej(stack, order=order))
    np.testing.assert_array_equal([frame.pixels for frame in picture.frames], stack)
    np.testing.assert_array_equal(read(imagej(stack, order=order), ReadOptions(frame=-1)).pixels, stack[-1])


def test_the_result_of_a_stack_has_a_page_for_each_slice(tmp_path):
    stack = noise((4, 12, 17), np.uint16)
    report, _ = filtered(imagej(stack), tmp_path, "identity")
    assert report.frames == 4
    with tifffile.TiffFile(tmp_path / "out.tif") as again:
        np.testing.assert_array_equal([page.asarray() for page in again.pages], stack)


def test_a_truncated_stack_is_refused_or_read_up_to_the_cut():
    stack = noise((5, 12, 17), np.uint16)
    with pytest.raises(ReadError, match="truncated"):
        read(imagej(stack, cut=100))
    with pytest.raises(ReadError, match="truncated"):
        read(imagej(stack, count=2_000))
    with pytest.raises(ReadError, match="at most 65536 pictures"):
        read(imagej(stack, count=999_999_999))
    left = read(imagej(stack, cut=100), ReadOptions(lenient=True))
    assert left.notes
    np.testing.assert_array_equal([frame.pixels for frame in left.frames[:4]], stack[:4])
    assert not left.frames[4].pixels[-1].any()


def test_stacks_of_other_programs():
    stack = noise((5, 12, 17), np.uint16)
    shaped = io.BytesIO()
    tifffile.imwrite(shaped, stack, photometric="minisblack", truncate=True)
    shaped.seek(0)
    np.testing.assert_array_equal([frame.pixels for frame in read(shaped).frames], stack)
    planes = tiff((stack[0], {"extratags": [(33629, 5, 5, [0, 1] * 5, True)], "software": False}))
    metamorph = io.BytesIO(planes.getvalue() + stack[1:].tobytes())
    assert planes.getvalue().endswith(stack[0].tobytes())
    np.testing.assert_array_equal([frame.pixels for frame in read(metamorph).frames], stack)


def test_compressed_stacks_with_one_directory_are_refused():
    description = {"description": BEHIND_ONE.format(5), "software": False}
    for options in ({"compression": "zlib"}, {"compression": "zlib", "rowsperstrip": 2}):
        with pytest.raises(ReadError, match="a stack of 5 pictures with one directory"):
            read(tiff((noise((12, 17)), description | options)))


def test_stacks_with_a_directory_for_each_slice_are_read_once():
    stack = noise((5, 12, 17))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stack, imagej=True)
    buffer.seek(0)
    np.testing.assert_array_equal([frame.pixels for frame in read(buffer).frames], stack)


# Masks, reduced versions, directories below pages


def test_a_transparency_mask_is_read_as_alpha_and_written_as_a_mask(tmp_path):
    pixels, mask = noise((9, 20, 3)), noise((9, 20)) > 100
    source = tiff((pixels, {}), (mask, {"subfiletype": 4, "photometric": "mask"}))
    picture = read(source)
    assert picture.alpha and picture.notes == ()
    np.testing.assert_array_equal(picture.pixels, np.dstack([pixels, mask * np.uint8(255)]))
    _, result = filtered(source, tmp_path, "identity")
    np.testing.assert_array_equal(result[mask], pixels[mask])
    with tifffile.TiffFile(tmp_path / "out.tif") as written:
        page = written.pages[1]
        assert (int(page.subfiletype), int(page.photometric), page.bitspersample) == (4, 4, 1)
        np.testing.assert_array_equal(page.asarray(), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float64])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}], ids=str)
def test_masks_of_all_samples_stay_masks(tmp_path, dtype, layout):
    pages = [noise((40, 50, 2), dtype, seed) for seed in range(2)]
    masks = [noise((40, 50), seed=seed) > 100 for seed in (7, 8)]
    options = {"extrasamples": [0], "planarconfig": "contig", "photometric": "minisblack", **layout}
    kind = {"subfiletype": 4, "photometric": "mask"}
    data = tiff((pages[0], options), (masks[0], kind), (pages[1], options), (masks[1], kind))
    filtered(data, tmp_path, "identity")
    with tifffile.TiffFile(tmp_path / "out.tif") as written:
        for number in (0, 1):
            page, mask = written.pages[2 * number : 2 * number + 2]
            assert page.dtype == dtype and page.samplesperpixel == 2 and page.is_tiled == bool(layout)
            np.testing.assert_array_equal(page.asarray()[masks[number]], pages[number][masks[number]])
            np.testing.assert_array_equal(mask.asarray(), masks[number])


def test_opacity_is_rounded_to_a_mask_and_is_alpha_elsewhere(tmp_path):
    pixels, mask = noise((20, 31, 3)), np.zeros((20, 31), bool)
    mask[5:, 8:] = True
    source = tiff((pixels, {}), (mask, {"subfiletype": 4, "photometric": "mask"}))
    filtered(source, tmp_path, "box:3")
    opacity = cf.box_blur(mask.astype(np.float64), 3)
    colours = cf.box_blur(pixels * mask[..., np.newaxis].astype(np.float64), 3)
    with tifffile.TiffFile(tmp_path / "out.tif") as written:
        got, there = written.pages[0].asarray(), written.pages[1].asarray()
    np.testing.assert_array_equal(there, opacity >= 0.5)
    assert np.abs(got[there] - colours[there] / opacity[there][:, np.newaxis]).max() <= 0.501
    (tmp_path / "in.tif").write_bytes(source.getvalue())
    pipeline.filter_file(str(tmp_path / "in.tif"), str(tmp_path / "out.png"), pipeline.Options(["identity"]))
    np.testing.assert_array_equal(read(tmp_path / "out.png").pixels[..., 3], mask * 255)
    options = pipeline.Options(["identity"], write=WriteOptions(background="#000"))
    pipeline.filter_file(str(tmp_path / "in.tif"), str(tmp_path / "flat.tif"), options)
    with tifffile.TiffFile(tmp_path / "flat.tif") as written:
        assert len(written.pages) == 1
        np.testing.assert_array_equal(written.pages[0].asarray(), pixels * mask[..., np.newaxis])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_masks_belong_to_the_page_in_front_of_them(dtype):
    pages = [noise((9, 20), dtype, seed) for seed in range(3)]
    mask = noise((9, 20)) > 100
    source = tiff((pages[0], {}), (pages[1], {}), (mask, {"subfiletype": 4, "photometric": "mask"}), (pages[2], {}))
    picture = read(source)
    white = 65535 if dtype == np.uint16 else 1
    for number, frame in enumerate(picture.frames):
        opacity = np.where(mask | (number != 1), white, 0)
        np.testing.assert_array_equal(frame.pixels, np.dstack([pages[number], opacity]))


def test_masks_that_fit_no_page_are_reported():
    mask = noise((4, 5)) > 100
    picture = read(tiff((noise((9, 20)), {}), (mask, {"subfiletype": 4, "photometric": "mask"})))
    assert not picture.alpha
    assert picture.notes == ("the TIFF holds 1 transparency mask that fits no page; left out",)
    rgba = noise((9, 20, 4))
    picture = read(tiff((rgba, {"extrasamples": [2]}), (rgba[:, :, 0] > 9, {"subfiletype": 4, "photometric": "mask"})))
    np.testing.assert_array_equal(picture.pixels, rgba)
    assert "the mask is left out" in picture.notes[0]


def test_reduced_versions_are_reported():
    source = tiff((noise((8, 8)), {}), (noise((4, 4)), {"subfiletype": 1}), (noise((2, 2)), {"subfiletype": 1}))
    picture = read(source)
    assert len(picture.frames) == 1
    assert re.match("the TIFF holds 2 reduced versions of the picture", picture.notes[0])


def test_directories_below_a_page_are_reported():
    source = tiff((noise((8, 8)), {"subifds": 2}), (noise((4, 4)), {"subfiletype": 1}), (noise((8, 8)), {}))
    notes = read(source).notes
    assert "1 reduced version of" in notes[0]
    assert "1 picture below its pages" in notes[1]


@pytest.mark.parametrize("big", [False, True])
def test_a_picture_below_a_preview_is_taken(big):
    picture = noise((48, 64, 3), np.uint16)
    source = tiff((noise((12, 16, 3)), {"subfiletype": 1, "subifds": 1}), (picture, {}), bigtiff=big)
    found = read(source)
    np.testing.assert_array_equal(found.pixels, picture)
    assert "1 reduced version" in found.notes[0]


def test_of_previews_alone_the_largest_is_taken():
    largest = noise((9, 9))
    picture = read(tiff(*((array, {"subfiletype": 1}) for array in (noise((4, 4)), largest, noise((2, 2))))))
    np.testing.assert_array_equal(picture.pixels, largest)
    assert "2 reduced versions" in picture.notes[0]


def test_photoshop_layers_are_reported():
    picture = read(tiff((noise((8, 8)), {"extratags": [(37724, 7, 40, bytes(40), True)]})))
    assert "Photoshop's layers" in picture.notes[0]


# Camera raws

DNG = (50706, 1, 4, bytes((1, 4, 0, 0)), True)
MAKE = (271, 2, None, "NIKON CORPORATION", True)


@pytest.mark.parametrize(("tags", "kind"), [([DNG, MAKE], "DNG"), ([MAKE], "NIKON"), ([], "TIFF/EP")])
@pytest.mark.parametrize(
    "raw",
    [
        (noise((48, 64), np.uint16), {"photometric": "cfa"}),
        (noise((48, 64, 3), np.uint16), {"photometric": "linear_raw"}),
    ],
)
@pytest.mark.parametrize("subfile_type", [0, 1])
def test_raws_with_a_preview_are_refused(raw, tags, kind, subfile_type):
    preview = noise((12, 16, 3)), {"subfiletype": subfile_type, "subifds": 1, "extratags": tags, "software": False}
    with pytest.raises(ReadError, match=rf"camera raw \({kind}\).*develop it first.*darktable-cli"):
        read(tiff(preview, raw))


def test_raws_without_a_preview_are_refused():
    with pytest.raises(ReadError, match=r"camera raw \(DNG\)"):
        read(tiff((noise((48, 64), np.uint16), {"photometric": "cfa", "extratags": [DNG]})))


def test_raws_are_known_by_their_compression_and_signature():
    data = bytearray(tiff((noise((12, 16, 3)), {"subifds": 1}), (noise((48, 64)), {})).getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        at = opened.pages[0].pages[0].tags[259].valueoffset
    assert len(read(io.BytesIO(bytes(data))).frames) == 1
    data[at : at + 2] = (34713).to_bytes(2, "little")
    with pytest.raises(ReadError, match="camera raw"):
        read(io.BytesIO(bytes(data)))
    assert len(read(io.BytesIO(by_hand(4, 3, b"ABCD" + bytes(8)))).frames) == 1
    with pytest.raises(ReadError, match=r"camera raw \(CR2\)"):
        read(io.BytesIO(by_hand(4, 3, b"CR\2\0" + bytes(8))))


def test_the_loss_of_cloud_optimisation_is_reported():
    samples, ghost = noise((4, 6)), b"GDAL_STRUCTURAL_METADATA_SIZE=000028 bytes\nLAYOUT=IFDS_BEFORE_DATA\n  \n"
    place = {273: (4, 8 + len(ghost)), 279: (4, samples.size)}
    picture = read(io.BytesIO(by_hand(6, 4, ghost + samples.tobytes(), extra=place)))
    np.testing.assert_array_equal(picture.pixels, samples)
    assert picture.notes == (
        "the TIFF is cloud-optimised (COG), and a result is not; gdal_translate -of COG makes it one",
    )
