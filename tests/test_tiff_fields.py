"""Fields of TIFFs: kept, moved with the pixels, or left out with a note."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiffs import by_hand

from convfilter.errors import ReadError, WriteError
from convfilter.picture.format import NAMES
from convfilter.picture.formats import FORMATS
from convfilter.picture.metadata import exif
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

pytestmark = pytest.mark.usefixtures("folder")

KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)
SCALE, TIES = (2.0, 5.0, 0.0), (0.0, 0.0, 0.0, 1000.0, 8000.0, 0.0)
MATRIX = (1.5, 0.25, 0.0, 1000.0, -0.5, -2.5, 0.0, 8000.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def noise(shape=(24, 30), dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def doubles(tag, values):
    return (tag, 12, len(values), values, True)


def georeferenced(name, *tags, raster_type=1, **options):
    keys = (*KEYS[:-1], raster_type)
    extra = [(34735, 3, len(keys), keys, True), (34737, 2, None, "Somewhere|", True), *tags]
    extra += [(42113, 2, None, "-9999", True), (42112, 2, None, "<GDALMetadata/>", True)]
    tifffile.imwrite(name, noise(), photometric="minisblack", metadata=None, software=False, extratags=extra, **options)


def filtered(source, destination, *specs, **options):
    write_options = options.pop("write", WriteOptions())
    return filter_file(source, destination, Options(specs or ["identity"], write=write_options, **options)).notes


def tags_of(name, page=0):
    with tifffile.TiffFile(name) as tiff:
        return {tag.code: tag.value for tag in tiff.pages[page].tags}


def world(tags, x, y):
    """Coordinates of the centre of a pixel, by GeoTIFF: areas have it at half a pixel, points at 0."""
    at = 0.0 if tags[34735][-1] == 2 else 0.5
    x, y = x + at, y + at
    if 34264 in tags:
        matrix = np.array(tags[34264]).reshape(4, 4)
        return tuple((matrix @ (x, y, 0, 1))[:2])
    (i, j, _, east, north, _), (width, height, _) = tags[33922], tags[33550]
    return east + (x - i) * width, north - (y - j) * height


@pytest.mark.parametrize("raster_type", [1, 2], ids=["area", "point"])
@pytest.mark.parametrize("tags", [(doubles(33550, SCALE), doubles(33922, TIES)), (doubles(34264, MATRIX),)])
@pytest.mark.parametrize(
    ("specs", "jump", "start"),
    [
        (("identity",), (1, 1), (0, 0)),
        (("box:3,stride=2",), (2, 2), (0, 0)),
        (("box:3,padding=valid",), (1, 1), (1, 1)),
        (("box:3,padding=full",), (1, 1), (-1, -1)),
        (("box:4x2,padding=0,stride=3x2",), (3, 2), (1.5, 0.5)),
        (("maxpool:2", "box:5,stride=2,dilation=2,padding=1"), (4, 4), (6.5, 6.5)),
        (("box:3,padding=2,padding_mode=reflect",), (1, 1), (-1, -1)),
    ],
)
def test_the_position_moves_with_the_pixels(specs, jump, start, tags, raster_type):
    georeferenced("in.tif", *tags, raster_type=raster_type)
    assert filtered("in.tif", "out.tif", *specs) == ()
    before, after = tags_of("in.tif"), tags_of("out.tif")
    assert (after[34735], after[34737], after[42113], after[42112]) == (
        before[34735],
        before[34737],
        "-9999",
        "<GDALMetadata/>",
    )
    for x, y in ((0, 0), (3, 0), (2, 4)):
        inside = x * jump[0] + start[0], y * jump[1] + start[1]
        assert world(after, x, y) == pytest.approx(world(before, *inside))


def test_tie_points_and_rational_polynomials_move_too():
    ties = (*TIES, 10.0, 20.0, 0.0, 1.0, 2.0, 0.0)
    coefficients = [0.0, 0.0, 100.0, 200.0, 1, 2, 3, 50.0, 80.0, *range(9, 92)]
    georeferenced("in.tif", doubles(33922, ties), doubles(50844, coefficients), doubles(33920, (*MATRIX, 0.0)))
    filtered("in.tif", "out.tif", "box:4,padding=0,stride=2")
    after = tags_of("out.tif")
    # Centres of outputs lie at 1.5 + 2 n, so their corners at 1 + 2 n.
    assert after[33922][6:8] == (4.5, 9.5) and after[33922][8:] == ties[8:]
    assert after[50844][2:4] == (49.25, 99.25) and after[50844][7:9] == (25.0, 40.0)
    assert after[50844][9:] == tuple(coefficients[9:])
    assert after[33920][0] == 3.0 and after[33920][3] == 1000 + 1.5 * 1 + 0.25 * 1


def test_big_endian_numbers_stay_numbers():
    georeferenced("in.tif", doubles(33550, SCALE), doubles(33922, TIES), byteorder=">")
    assert filtered("in.tif", "out.tif") == ()
    after = tags_of("out.tif")
    assert after[33550] == SCALE and after[33922] == TIES and after[34735] == KEYS


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if not fmt.mantissa], ids=lambda fmt: fmt.name)
def test_other_formats_say_what_they_do_not_keep(fmt):
    private = (65000, 2, None, "detector 7", True)
    georeferenced("in.tif", doubles(33550, SCALE), doubles(33922, TIES), private)
    notes = filtered("in.tif", f"out{fmt.suffixes[0]}")
    kinds = ("geo", "nodata", "gdal", "private")
    expected = [f"{fmt.name} is written without {NAMES[kind]}; use tiff to keep that" for kind in kinds]
    assert list(notes) == ([] if fmt.name == "TIFF" else expected)
    assert filtered("in.tif", f"out{fmt.suffixes[0]}", write=WriteOptions(strip="most")) == ()
    if fmt.name == "TIFF":
        assert not {33550, 42113, 65000} & tags_of("out.tif").keys()


def test_a_picture_that_is_turned_has_no_position():
    orientation = (274, 3, 1, 6, True)
    georeferenced("in.tif", doubles(33550, SCALE), doubles(33922, TIES), orientation)
    (note,) = filtered("in.tif", "out.tif")
    assert note.endswith("position and projection (GeoTIFF), since the picture has been rotated")
    after = tags_of("out.tif")
    assert 33550 not in after and 33922 not in after and after[34735] == KEYS
    with pytest.raises(WriteError, match=r"rotated; strict=True"):
        filtered("in.tif", "strict.tif", write=WriteOptions(strict=True))


def test_pixels_of_another_size_from_elsewhere_have_no_position():
    georeferenced("in.tif", doubles(33550, SCALE), doubles(33922, TIES))
    picture = read("in.tif")
    picture.pixels = noise((5, 6))
    (note,) = write("out.tif", picture)
    assert "position" in note and "size has changed" in note
    assert 33550 not in tags_of("out.tif")


def test_maps_of_a_layer_lie_where_their_inputs_lie():
    georeferenced("in.tif", doubles(33550, SCALE), doubles(33922, TIES))
    np.savez("layer.npz", weight=np.ones((5, 1, 3, 3), np.float32))
    filtered("in.tif", "out.tif", "layer:layer.npz,stride=2")
    for page in range(5):
        assert tags_of("out.tif", page)[33550] == (4.0, 10.0, 0.0)


def test_nodata_in_another_unit_than_the_samples_is_left_out():
    extra = [(42113, 2, None, "7", True)]
    options = {"photometric": "minisblack", "metadata": None, "extratags": extra}
    for dtype, kept in ((np.uint16, True), (np.int16, True), (np.float64, True), (np.uint32, True), (np.uint8, False)):
        more = {} if kept else {"bitspersample": 4}
        tifffile.imwrite("in.tif", noise(dtype=dtype) & 15 if more else noise(dtype=dtype), **options, **more)
        notes = filtered("in.tif", "out.tif")
        assert (42113 in tags_of("out.tif")) == kept
        assert any("GDAL_NODATA" in note for note in notes) != kept


IMAGEJ = {
    "unit": "um",
    "spacing": 2.0,
    "Labels": ["one", "zwei ü", "three"],
    "Ranges": (1.0, 180.0),
    "Info": "made by a microscope",
    "ROI": b"Iout\0\xe3\1\2" + bytes(60),
}


@pytest.mark.parametrize("order", ["<", ">"])
def test_stacks_of_imagej_keep_what_describes_them(order):
    stack = noise((3, 24, 30), np.uint16)
    metadata = dict(IMAGEJ, axes="ZYX")
    tifffile.imwrite("in.tif", stack, imagej=True, byteorder=order, resolution=(4.0, 4.0), metadata=metadata)
    assert filtered("in.tif", "out.tif") == ()
    with tifffile.TiffFile("in.tif") as before, tifffile.TiffFile("out.tif") as after:
        found = after.imagej_metadata
        assert found == before.imagej_metadata and found["Labels"] == IMAGEJ["Labels"] and found["unit"] == "um"
        np.testing.assert_array_equal(after.asarray(), stack)
        resolution = after.pages[0].tags[282].value
        assert resolution[0] / resolution[1] == 4 and after.pages[0].tags[296].value == 1
    notes = filtered("in.tif", "half.tif", "box:3,stride=2")
    assert len(notes) == 1 and "dimensions of a stack" in notes[0]
    tags = tags_of("half.tif")
    assert tags[282][0] / tags[282][1] == 2 and not {270, 50838, 50839} & tags.keys()
    assert "dimensions" in filtered("in.tif", "out.png", write=WriteOptions(allow_loss=True))[-1]


def test_ome_descriptions_are_kept_where_they_are_true():
    stack = noise((3, 24, 30), np.uint16)
    tifffile.imwrite("in.ome.tif", stack, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5}, photometric="minisblack")
    assert filtered("in.ome.tif", "out.tif") == ()
    assert tags_of("out.tif")[270] == tags_of("in.ome.tif")[270]
    with tifffile.TiffFile("out.tif") as tiff:
        assert tiff.is_ome and tiff.series[0].axes == "ZYX"
    (note,) = filter_file("in.ome.tif", "out.tif", Options(["identity"], read=ReadOptions(frame=0))).notes
    assert "dimensions of a stack" in note
    assert 270 not in tags_of("out.tif")
    (note,) = filter_file("in.ome.tif", "out.tif", Options(["identity"], read=ReadOptions(frame=2))).notes
    assert note == "the dimensions of the stack (ImageJ, OME) are left out, since one of its frames is read"


@pytest.mark.parametrize("axes", ["TZCYX", "YX", "YXS"])
def test_sizes_in_ome_descriptions_are_those_of_the_result(axes):
    shape = {"TZCYX": (2, 3, 2, 24, 30), "YX": (24, 30), "YXS": (24, 30, 3)}[axes]
    known = {"axes": axes, "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": "nm"}
    kind = "rgb" if axes == "YXS" else "minisblack"
    tifffile.imwrite("in.ome.tif", noise(shape, np.uint16), metadata=known, photometric=kind)
    before = tags_of("in.ome.tif")[270]
    assert filtered("in.ome.tif", "out.tif", "box:1,stride=3x2") == ()
    with tifffile.TiffFile("out.tif") as tiff:
        assert tiff.is_ome and tiff.series[0].axes == axes
        assert tiff.series[0].shape == tuple({24: 12, 30: 10}.get(size, size) for size in shape)
        after = tiff.ome_metadata
    for old, new in (
        ('SizeX="30"', 'SizeX="10"'), ('SizeY="24"', 'SizeY="12"'),
        ('PhysicalSizeX="0.1"', 'PhysicalSizeX="0.3"'), ('PhysicalSizeY="0.25"', 'PhysicalSizeY="0.5"'),
    ):  # fmt: skip
        assert old in before
        before = before.replace(old, new)
    assert after == before


def test_ome_descriptions_with_outlines_or_other_pictures_are_lost_with_the_size():
    tifffile.imwrite("in.ome.tif", noise((24, 30)), metadata={"axes": "YX"}, photometric="minisblack")
    text = tags_of("in.ome.tif")[270]
    other = re.search("<Pixels.*</Pixels>", text)[0].replace('SizeX="30"', 'SizeX="7"')
    for more in ('<ROI ID="ROI:0"/></OME>', f"<Image>{other}</Image></OME>"):
        changed = text.replace("</OME>", more)
        tifffile.imwrite("in.tif", noise((24, 30)), description=changed, metadata=None, photometric="minisblack")
        assert filtered("in.tif", "out.tif") == ()
        (note,) = filtered("in.tif", "out.tif", "box:1,stride=2")
        assert "dimensions of a stack" in note and 270 not in tags_of("out.tif")


def test_stacks_of_imagej_keep_their_dimensions_at_another_size():
    known = {"axes": "ZCYX", "spacing": 2.0, "unit": "um", "Labels": [str(number) for number in range(6)]}
    stack = noise((3, 2, 24, 30), np.uint16)
    tifffile.imwrite("in.tif", stack, imagej=True, metadata=known, resolution=(10.0, 5.0))
    assert filtered("in.tif", "out.tif", "box:1,stride=2") == ()
    with tifffile.TiffFile("out.tif") as tiff, tifffile.TiffFile("in.tif") as before:
        assert tiff.imagej_metadata == before.imagej_metadata and tiff.series[0].axes == "ZCYX"
        np.testing.assert_array_equal(tiff.asarray(), stack[..., ::2, ::2])
        assert tiff.pages[0].tags[282].value == (5, 1)
    tifffile.imwrite("in.tif", stack, imagej=True, metadata=known | {"Overlays": [b"Iout"]})
    assert filtered("in.tif", "out.tif") == ()
    (note,) = filtered("in.tif", "out.tif", "box:1,stride=2")
    assert "dimensions of a stack" in note


def test_pages_keep_their_own_texts_and_profiles():
    with tifffile.TiffWriter("in.tif") as tiff:
        for number in range(3):
            tiff.write(
                noise(seed=number),
                description=f"page {number}",
                photometric="minisblack",
                metadata=None,
                iccprofile=b"profile %d" % number if number else None,
                resolution=(100 + number, 100),
                resolutionunit=2,
                extratags=[(285, 2, None, f"name {number}", True), (297, 3, 2, (number, 3), True)],
            )
    assert filtered("in.tif", "out.tif") == ()
    for number in range(3):
        tags = tags_of("out.tif", number)
        assert tags[270] == f"page {number}" and tags[285] == f"name {number}" and tags[297] == (number, 3)
        assert tags[282][0] / tags[282][1] == 100 + number
        assert number == 0 or tags[34675].startswith(b"profile %d" % number)
    notes = filtered("in.tif", "out.png", write=WriteOptions(allow_loss=True))
    assert [note.split(" without ")[1].split(";")[0] for note in notes[1:]] == [
        NAMES["page_names"],
        NAMES["page_texts"],
    ]


def test_the_resolution_of_every_page_stays_with_a_stride():
    with tifffile.TiffWriter("in.tif") as tiff:
        for _ in range(2):
            tiff.write(noise(), resolution=(300, 200), resolutionunit=2, metadata=None)
        # No reader takes this page's resolution, a SHORT where two fractions belong.
        tiff.write(noise(), metadata=None, extratags=[(282, 3, 1, 300, True)])
    filtered("in.tif", "out.tif", "gaussian:1,stride=2")
    assert [tags_of("out.tif", page)[282] for page in range(2)] == [(300, 1)] * 2
    assert [tags_of("out.tif", page)[283] for page in range(2)] == [(200, 1)] * 2
    assert read("out.tif").frames[2].shape == (12, 15)


@pytest.mark.parametrize("strip", [None, "most", "all"])
def test_a_page_has_no_profile_but_its_own(strip):
    profiles = [b"profile 0", None, b"profile 2"]
    with tifffile.TiffWriter("in.tif") as tiff:
        for profile in profiles:
            tiff.write(noise(), photometric="minisblack", metadata=None, iccprofile=profile)
    write_options = WriteOptions(strip=strip)
    notes = filtered("in.tif", "out.tif", write=write_options)
    assert notes == ("the colour profile is damaged and is left out",)
    found = [tags_of("out.tif", number).get(34675) for number in range(3)]
    assert found == [None, *(profiles[1:] if strip != "all" else [None, None])]


def test_previews_on_further_pages_do_not_survive():
    thumbnail = b"8BIM\x04\x0c\0\0" + (4).to_bytes(4, "big") + b"pict"
    with tifffile.TiffWriter("in.tif") as tiff:
        for _ in range(2):
            extra = [(34377, 1, len(thumbnail), thumbnail, True)]
            tiff.write(noise(), photometric="minisblack", metadata=None, extratags=extra)
    filtered("in.tif", "out.tif")
    assert 34377 not in tags_of("out.tif", 1)


def test_tags_of_other_programs_are_kept_at_the_same_size_or_named():
    extra = [
        (65000, 2, None, "detector 7", True),
        (65001, 12, 2, (1.5, 2.5), True),
        (65002, 4, 1, 1234, True),
        (65003, 7, 4, b"blob", True),
    ]
    tifffile.imwrite("in.tif", noise(), photometric="minisblack", metadata=None, extratags=extra)
    (note,) = filtered("in.tif", "out.tif")
    assert note.endswith("left out: 65002, 65003")
    tags = tags_of("out.tif")
    assert tags[65000] == "detector 7" and tags[65001] == (1.5, 2.5)
    notes = filtered("in.tif", "half.tif", "box:2,stride=2")
    assert [note for note in notes if "tags of other programs, since the size has changed" in note]
    assert not {65000, 65001} & tags_of("half.tif").keys()


def test_names_of_inks_stay_with_their_channels():
    """Without them, spot colours have no meaning, and four inks that are not CMYK would be taken for it."""
    names = b"Cyan\0Magenta\0Yellow\0Black\0PANTONE 123 C\0Gold\0"
    inks = [(332, 3, 1, 2, True), (333, 2, len(names), names, True), (334, 3, 1, 6, True), (336, 3, 2, (0, 255), True)]
    tifffile.imwrite(
        "in.tif", noise((24, 30, 6)), photometric="separated", extrasamples=[0, 0], metadata=None, extratags=inks
    )
    before = tags_of("in.tif")
    assert filtered("in.tif", "out.tif", "box:3,stride=2") == ()
    after = tags_of("out.tif")
    assert [after[tag] for tag in (332, 333, 334, 336)] == [before[tag] for tag in (332, 333, 334, 336)]
    np.save("two.npy", np.ones((2, 6, 1, 1)))
    assert filtered("in.tif", "out.tif", "layer:two.npy") == (
        "TIFF is written without names of inks, since the number or the type of its channels has changed",
    )
    assert not {332, 333, 334, 336} & {*tags_of("out.tif")}
    options = WriteOptions(allow_loss=True)
    assert "JPEG is written without names of inks; use tiff to keep that" in filtered("in.tif", "o.jpg", write=options)


def test_white_point_and_primaries_say_the_same_elsewhere():
    rational = [(0.3127, 0.329), (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)]
    values = [tuple(n for value in group for n in (round(value * 10000), 10000)) for group in rational]
    extra = [(318, 5, 2, values[0], True), (319, 5, 6, values[1], True)]
    tifffile.imwrite("in.tif", noise((9, 9, 3)), photometric="rgb", metadata=None, extratags=extra)
    assert filtered("in.tif", "out.png") == ()
    (chunk,) = read("out.png").metadata.png
    assert chunk == (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
    assert filtered("in.tif", "out.jpg") == () and read("out.jpg").metadata.icc is not None


def test_exif_in_a_tiff_is_still_what_it_was():
    extra = [(271, 2, None, "Maker Inc", True)]
    tifffile.imwrite("in.tif", noise(), photometric="minisblack", metadata=None, extratags=extra)
    filtered("in.tif", "out.jpg")
    block = read("out.jpg").metadata.exif
    assert b"Maker Inc" in block and not exif.has_thumbnail(block)


def test_statistics_of_the_samples_are_left_out():
    told = (
        '<GDALMetadata>\n  <Item name="STATISTICS_MAXIMUM" sample="0">254</Item>\n  <Item name="SENSOR">X</Item>\n'
        '  <Item name="STATISTICS_MEAN" sample="0">100.5</Item>\n</GDALMetadata>\n'
    )
    for text, left in (
        (told, '<GDALMetadata>\n  <Item name="SENSOR">X</Item>\n  </GDALMetadata>'),
        ('<GDALMetadata><Item name="STATISTICS_MEAN" sample="0">1</Item></GDALMetadata>', None),
    ):
        tifffile.imwrite("in.tif", noise(), metadata=None, extratags=[(42112, 2, None, text, True)])
        assert filtered("in.tif", "out.tif") == ()
        assert tags_of("out.tif").get(42112) == left


@pytest.mark.parametrize(
    "text", ["<OME" + "<Pixels" * 10**5, "<GDALMetadata>" + " " * 10**6, "<OME<Pixels " + "SizeX=" * 10**5]
)
def test_hostile_descriptions_take_time_in_proportion(text):
    extra = [(42112, 2, None, text, True)] if "GDAL" in text else []
    tifffile.imwrite("in.tif", noise(), description="" if extra else text, metadata=None, extratags=extra)
    filtered("in.tif", "out.tif", "box:1,stride=2")  # squares of these lengths would take minutes


def with_value_at_the_end(name, tag, big=False):
    """Move the value of a tag after all other data."""
    with tifffile.TiffFile(name) as tiff:
        entry = tiff.pages[0].tags[tag]
        at, value, length = entry.offset, entry.valueoffset, entry.valuebytecount
    data = bytearray(Path(name).read_bytes())
    struct.pack_into("<Q" if big else "<I", data, at + (12 if big else 8), len(data))
    Path(name).write_bytes(bytes(data) + bytes(data[value : value + length]))
    return len(data)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("tag", "name"), [(270, "ImageDescription"), (700, "XMP"), (42112, "GDAL_METADATA")])
def test_tags_beyond_the_end_of_a_truncated_file_are_named(tag, name, big):
    value = "<GDALMetadata><Item name='a'>1</Item></GDALMetadata>" if tag == 42112 else "<x:xmpmeta/>  a description"
    extra = [(tag, 1 if tag == 700 else 2, len(value) if tag == 700 else None, value.encode(), True)]
    tifffile.imwrite("in.tif", noise(), photometric="minisblack", metadata=None, extratags=extra, bigtiff=big)
    end = with_value_at_the_end("in.tif", tag, big)
    assert filtered("in.tif", "out.tif") == ()
    with open("in.tif", "r+b") as file:
        file.truncate(end + 5)
    note = f"the TIFF is truncated or damaged: tags beyond its end are left out: {name}"
    assert filtered("in.tif", "out.tif") == (note,)
    with pytest.raises(ReadError, match="tags beyond its end"):
        read("in.tif", ReadOptions(strict=True))


@pytest.mark.parametrize(("tag", "name"), [(34665, "EXIF"), (34853, "GPS")])
def test_a_truncated_directory_of_exif_is_named(tag, name):
    data = by_hand(4, 3, bytes(range(12)), extra={tag: (4, 0)})
    entry = data.index(struct.pack("<HHI", tag, 4, 1))
    whole = struct.pack("<HHHII", 2, 36867, 2, 20, len(data) + 30) + struct.pack("<HHII", 1, 2, 2, ord("N"))
    data = data[: entry + 8] + struct.pack("<I", len(data)) + data[entry + 12 :] + whole + bytes(4)
    note = f"the TIFF is truncated or damaged: tags beyond its end are left out: {name}"
    for length, expected in ((len(data) + 20, ()), (len(data) + 3, (note,)), (len(data) - 14, (note,))):
        Path("in.tif").write_bytes(data.ljust(length, b"2")[:length])
        assert filtered("in.tif", "out.tif") == expected
