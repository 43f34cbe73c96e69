"""FITS: samples as astropy gives them; header and world coordinates stay, and move with the pixels."""

import io

import numpy as np
import pytest
import reference
from wides import FILES, noise
from wides import stored as wide_stored

import convfilter as cf
from convfilter.errors import ReadError, SizeError, WriteError
from convfilter.executor.masked import Masking
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

fits = pytest.importorskip("astropy.io.fits")
wcs = pytest.importorskip("astropy.wcs")


def stored(pixels, header=(), **more):
    unit = fits.PrimaryHDU(pixels, header=fits.Header(header))
    for key, value in more.items():
        unit.header[key] = value
    buffer = io.BytesIO()
    fits.HDUList([unit]).writeto(buffer)
    buffer.seek(0)
    return buffer


def ramp(dtype, shape=(20, 30)):
    return (np.arange(np.prod(shape)) * 7 % 251).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "read_as"),
    [
        *((dtype, dtype) for dtype in ("u1", "u2", "i2", "u4", "f4", "f8")),
        *(("i1", "i2"), ("i4", "f8"), ("i8", "f8"), ("u8", "f8")),
    ],
)
def test_samples_are_those_of_astropy(tmp_path, dtype, read_as):
    pixels = ramp(dtype) if dtype[1] in "12" else noise({"i4": "int32", "u4": "uint32"}.get(dtype, "float64"), (20, 30))
    pixels = (
        np.rint(np.abs(pixels) if dtype == "u8" else pixels).astype(dtype) if dtype[0] != "f" else pixels.astype(dtype)
    )
    picture = read(stored(pixels))
    assert picture.dtype == read_as and bool(picture.notes) == (dtype[1] == "8" and dtype[0] != "f")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert write(tmp_path / "a.fits", picture) == ()
    with fits.open(tmp_path / "a.fits") as units:
        np.testing.assert_array_equal(units[0].data, pixels)
        if not picture.notes:
            assert units[0].data.dtype.newbyteorder("=") == np.dtype(dtype)


def test_scale_and_blank_mean_what_they_say():
    values = {
        "SIMPLE": "T",
        "BITPIX": 16,
        "NAXIS": 2,
        "NAXIS1": 30,
        "NAXIS2": 20,
        "BSCALE": 0.5,
        "BZERO": 10.0,
        "BLANK": 7,
    }
    head = "".join(f"{key:8}= {value!s:>20}".ljust(80) for key, value in values.items()) + "END"
    data = head.ljust(2880).encode() + ramp(">i2").tobytes().ljust(2880, b"\0")
    pixels = read(io.BytesIO(data)).pixels
    expected = ramp("i2") * 0.5 + 10
    expected[ramp("i2") == 7] = np.nan
    np.testing.assert_array_equal(pixels, expected.astype(np.float32))
    (note,) = read(io.BytesIO(data)).notes
    assert note.endswith("(BSCALE, BZERO) or partly missing (BLANK); they are read and written as 32-bit floats")


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize(
    "cards", [{"BLANK": 7}, {"BSCALE": 0.1}, {"BSCALE": 2.0, "BZERO": -3.5, "BLANK": 9}, {"BSCALE": 1.0, "BZERO": 0.0}]
)
def test_scaled_and_missing_samples_are_written_as_astropy_reads_them(tmp_path, bits, cards):
    values = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": 30, "NAXIS2": 20, "BUNIT": "'K'", **cards}
    head = "".join(f"{key:8}= {value!s:>20}".ljust(80) for key, value in values.items()) + "END"
    data = ramp({8: ">u1", 16: ">i2", 32: ">i4"}[bits]).tobytes()
    (tmp_path / "a.fits").write_bytes(head.ljust(2880).encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0"))
    filter_file(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), Options(["identity"]))
    with fits.open(tmp_path / "a.fits") as before, fits.open(tmp_path / "b.fits") as after:
        np.testing.assert_array_equal(after[0].data, before[0].data)
        is_real = cards != {"BSCALE": 1.0, "BZERO": 0.0}
        dtype = before[0].data.dtype.newbyteorder("=")
        assert after[0].data.dtype.newbyteorder("=") == dtype and (dtype.kind == "f") == is_real
        assert after[0].header["BUNIT"] == "K" and not {"BSCALE", "BZERO", "BLANK"} & set(after[0].header)


@pytest.mark.parametrize(
    ("bits", "zero", "blank"),
    [(8, -128, 7), (16, 2**15, 7), (32, 2**31, 7), (64, 2**63, 7), (8, 0, 0), (16, 0, 0), (32, 10, 0)],
)
def test_missing_samples_that_astropy_takes_for_numbers_become_nan(bits, zero, blank):
    values = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": 30, "NAXIS2": 20, "BZERO": zero, "BLANK": blank}
    head = "".join(f"{key:8}= {value!s:>20}".ljust(80) for key, value in values.items()) + "END"
    stored_samples = ramp("u1" if bits == 8 else f">i{bits // 8}")
    data = stored_samples.tobytes()
    picture = read(io.BytesIO(head.ljust(2880).encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0")))
    expected = stored_samples.astype(np.float64) + zero
    expected[stored_samples == blank] = np.nan
    np.testing.assert_array_equal(picture.pixels, expected)
    assert "partly missing (BLANK)" in picture.notes[0]


HEADER = {
    "OBJECT": "M31", "CRPIX1": 10.5, "CRPIX2": 8.0, "CRVAL1": 10.68, "CRVAL2": 41.27, "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS",
}  # fmt: skip
MATRICES = {
    "cdelt": {"CDELT1": -0.01, "CDELT2": 0.01},
    "cd": {"CD1_1": -0.01, "CD1_2": 0.002, "CD2_1": 0.002, "CD2_2": 0.01},
    "pc": {"CDELT1": -0.01, "CDELT2": 0.01, "PC1_1": 0.98, "PC1_2": -0.2, "PC2_1": 0.2, "PC2_2": 0.98},
    "none": {},
    "cd and cdelt": {"CD1_1": -0.01, "CD2_2": 0.01, "CDELT1": -0.01, "CDELT2": 0.01},
    "pc without a one": {"CDELT1": 0.01, "CDELT2": 0.01, "PC1_1": -1.0},
    "pc of shear": {"CDELT1": -0.01, "CDELT2": 0.01, "PC1_2": 0.1},
    "pc of an older draft": {"CDELT1": -0.01, "CDELT2": 0.01, "PC001001": 0.98, "PC001002": -0.2, "PC002001": 0.2},
    "pc of another version": {
        "CDELT1": -0.01, "CDELT2": 0.01, "CRPIX1A": 1.0, "CRPIX2A": 1.0, "PC1_1A": 2.0, "CTYPE1A": "LINEAR",
    },
    "sip": {
        "CD1_1": -0.01, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.01, "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP",
        "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3, "A_1_1": 2e-3, "B_0_2": -1e-3, "B_1_1": 5e-4,
    },
}  # fmt: skip


@pytest.mark.parametrize("dtype", FILES)
def test_results_have_the_type_of_the_file(tmp_path, dtype):
    pixels = noise(dtype, (30, 22))
    (tmp_path / "a.fits").write_bytes(stored(pixels, HEADER).getvalue())
    report = filter_file(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), Options(["box:3"]))
    assert report.notes == () and report.before == report.after == f"22x30 gray {dtype}"
    with fits.open(tmp_path / "b.fits") as units:
        got = units[0].data
        assert got.dtype.newbyteorder("=") == dtype and units[0].header["OBJECT"] == "M31"
    means = reference.box_sum(reference.exact(pixels.astype(object)), 3) / 9
    if dtype == "float64":
        np.testing.assert_allclose(got, means.astype(float), rtol=0, atol=1e-11)
    else:
        np.testing.assert_array_equal(got, wide_stored(means, dtype))


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("spec", ["box:3", "box:3,stride=2", "box:3x5,stride=3x2,padding=valid", "box:3,padding=4"])
def test_world_coordinates_move_with_the_pixels(tmp_path, matrix, spec):
    header = HEADER | MATRICES[matrix]
    (tmp_path / "a.fits").write_bytes(stored(ramp("f4"), header).getvalue())
    filter_file(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), Options([spec]))
    kept = fits.getheader(tmp_path / "b.fits")
    assert kept["OBJECT"] == "M31" and "CHECKSUM" not in kept
    assert kept.get("CDELT1") == kept.get("CD1_1") or matrix != "cd and cdelt"
    row_step, col_step = {"box:3,stride=2": (2, 2), "box:3x5,stride=3x2,padding=valid": (2, 3)}.get(spec, (1, 1))
    row_start, col_start = {"box:3x5,stride=3x2,padding=valid": (2, 1), "box:3,padding=4": (-3, -3)}.get(spec, (0, 0))
    for version in " A" if "CTYPE1A" in header else " ":
        before, after = wcs.WCS(fits.Header(header), key=version), wcs.WCS(kept, key=version)
        for row, col in ((0, 0), (3, 2), (5, 7)):
            place = before.all_pix2world([[col_start + col * col_step, row_start + row * row_step]], 0)
            np.testing.assert_allclose(after.all_pix2world([[col, row]], 0), place, atol=1e-9)


def test_planes_of_a_cube_are_pages(tmp_path):
    cube = ramp("f4", (3, 6, 8))
    picture = read(stored(cube))
    assert len(picture.frames) == 3
    write(tmp_path / "a.fits", picture)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.fits"), cube)
    np.testing.assert_array_equal(read(stored(cube), ReadOptions(frame=-1)).pixels, cube[2])
    assert read(stored(ramp("f4", (1, 1, 6, 8)))).pixels.shape == (6, 8)
    with pytest.raises(ReadError, match=r"dimensions \(2, 3, 6, 8\) cannot be filtered"):
        read(stored(ramp("f4", (2, 3, 6, 8))))


def test_other_images_are_named(tmp_path):
    units = [fits.PrimaryHDU(), fits.ImageHDU(ramp("u1")), fits.ImageHDU(ramp("u1"))]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    with pytest.raises(ReadError, match="holds 2 images; take the others out"):
        read(tmp_path / "a.fits")
    np.testing.assert_array_equal(read(tmp_path / "a.fits", ReadOptions(allow_loss=True)).pixels, ramp("u1"))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.zeros(3))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "b.fits")
    with pytest.raises(ReadError, match="no image of two dimensions"):
        read(tmp_path / "b.fits")


def test_other_formats_say_that_the_header_is_lost(tmp_path):
    picture = read(stored(ramp("u2"), HEADER))
    notes = write(tmp_path / "a.tif", picture)
    assert any("TIFF is written without the header of a FITS; use fits to keep that" in note for note in notes)
    assert write(tmp_path / "b.fits", picture, WriteOptions(strip="all")) == ()
    assert "OBJECT" not in fits.getheader(tmp_path / "b.fits")
    with pytest.raises(WriteError, match="FITS cannot hold a colour picture"):
        write(tmp_path / "c.fits", np.zeros((4, 4, 3), np.uint8))


def test_the_limit_of_pixels_is_for_the_chosen_plane():
    cube = stored(np.arange(5 * 20 * 30, dtype=np.int16).reshape(5, 20, 30)).getvalue()
    with pytest.raises(SizeError, match="the 5 frames have 3000 pixels together, the limit is 700"):
        read(io.BytesIO(cube), ReadOptions(max_pixels=700))
    (frame,) = read(io.BytesIO(cube), ReadOptions(max_pixels=700, frame=-1)).frames
    assert frame.pixels[0, 0] == 4 * 600


def test_hostile_headers_and_damage():
    data = stored(ramp("f4")).getvalue()
    wide, high = b"NAXIS1  =                   30", b"NAXIS2  =                   20"
    with pytest.raises(SizeError, match="30x60000000"):
        read(io.BytesIO(data.replace(high, b"NAXIS2  =             60000000")))
    with pytest.raises(ReadError):
        read(io.BytesIO(data.replace(wide, b"NAXIS1  =                   70")))
    for size in (100, 2879, 2880 + 100):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]))


def test_missing_data_of_a_fits_can_be_left_out(tmp_path):
    pixels = ramp("f4")
    pixels[4:6, 7:9] = np.nan
    marked = np.where(np.isnan(pixels), -1, pixels).astype("i2")
    for name, file in (("real", stored(pixels)), ("whole", stored(marked, BLANK=-1))):
        (tmp_path / f"{name}.fits").write_bytes(file.read())
        source, output = str(tmp_path / f"{name}.fits"), str(tmp_path / "out.fits")
        filter_file(source, output, Options(["box:3"], masking=Masking("nodata")))
        result = read(output).pixels
        np.testing.assert_array_equal(np.isnan(result), np.isnan(pixels))
        np.testing.assert_allclose(result, cf.box_blur(pixels, 3, ignore=np.nan), rtol=1e-6)


AXES = {"CTYPE3": "FREQ", "CRPIX3": 2.0, "CRVAL3": 1.4e9, "CDELT3": 1e6, "CTYPE4": "STOKES", "CRPIX4": 1.0}


@pytest.mark.parametrize("shape", [(1, 1, 6, 8), (1, 3, 6, 8), (3, 1, 6, 8), (3, 6, 8), (6, 8)])
def test_axes_beyond_rows_and_columns_are_those_of_the_input(tmp_path, shape):
    pixels = ramp("f4", shape)
    (tmp_path / "a.fits").write_bytes(stored(pixels, HEADER | AXES if len(shape) == 4 else HEADER).getvalue())
    filter_file(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), Options(["identity"]))
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), pixels)
    before, after = fits.getheader(tmp_path / "a.fits"), fits.getheader(tmp_path / "b.fits")
    assert {key: after.get(key) for key in before if key != "EXTEND"} == {k: before[k] for k in before if k != "EXTEND"}


def test_a_chosen_plane_keeps_its_place_on_the_third_axis(tmp_path):
    cube = ramp("f4", (1, 3, 6, 8))
    picture = read(stored(cube, HEADER | AXES), ReadOptions(frame=2))
    write(tmp_path / "b.fits", picture)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), cube[:, 2:3])
    header = fits.getheader(tmp_path / "b.fits")
    assert (header["CRPIX3"], header["CRPIX4"], header["CRPIX1"]) == (0.0, 1.0, 10.5)


def test_tables_and_the_header_of_the_file_are_named_where_they_are_lost(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.zeros(3))])
    image = fits.ImageHDU(ramp("i2"), fits.Header({"EXPTIME": 3.0}), name="SCI")
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"TELESCOP": "a"})), image, table]).writeto(tmp_path / "a.fits")
    picture = read(tmp_path / "a.fits")
    assert picture.notes == (
        "the FITS holds 1 table, which is left out",
        "the header of the whole FITS (TELESCOP) is left out; that of the image is kept",
    )
    write(tmp_path / "b.fits", picture)
    assert fits.getheader(tmp_path / "b.fits")["EXPTIME"] == 3.0


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_2", "HCOMPRESS_1"])
def test_compressed_images_are_read_with_a_note(tmp_path, compression):
    unit = fits.CompImageHDU(ramp("i2"), fits.Header({"EXPTIME": 3.0}), compression_type=compression)
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(tmp_path / "a.fits")
    picture = read(tmp_path / "a.fits")
    assert picture.notes == (f"the FITS is compressed with {compression}; a result is not compressed",)
    write(tmp_path / "b.fits", picture)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), ramp("i2"))
    assert fits.getheader(tmp_path / "b.fits")["EXPTIME"] == 3.0
