"""GDAL's metadata beside a picture (.aux.xml), and what updates and makefiles know of the files beside a picture."""

import json
import os
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from convfilter import box_blur
from convfilter.batch import update
from convfilter.cli.root import run
from convfilter.errors import WriteError
from convfilter.picture.options import WriteOptions
from convfilter.pipeline import Options, filter_file

#: Corner of the first pixel, and steps by column and by row, of x and of y.
TRANSFORM = (500_000.0, 20.0, -2.0, 4_000_000.0, 1.5, -10.0)
STATISTICS = """
  <PAMRasterBand band="1">
    <Histograms><HistItem><HistMin>0</HistMin><HistCounts>1|2</HistCounts></HistItem></Histograms>
    <Metadata><MDI key="STATISTICS_MEAN">3</MDI><MDI key="STATISTICS_MAXIMUM">9</MDI></Metadata>
  </PAMRasterBand>"""
BAND = '<PAMRasterBand band="1"><Description>height</Description><NoDataValue>-9999</NoDataValue></PAMRasterBand>'


def pam(*elements: str) -> str:
    return f"<PAMDataset>{''.join(elements)}</PAMDataset>\n"


def geotransform(values=TRANSFORM) -> str:
    return f"<GeoTransform>{','.join(f'{value: .16e}' for value in values)}</GeoTransform>"


@pytest.fixture(autouse=True)
def picture(folder):
    values = np.random.default_rng(1).permutation(24 * 30).reshape(24, 30).astype(np.uint16)
    Image.fromarray(values).save("in.png")
    return values


def filtered(source, destination, *specs, **write):
    return filter_file(source, destination, Options(specs or ["identity"], write=WriteOptions(**write))).notes


def place(name, col, row):
    """Return where the centre of a pixel is."""
    root = ElementTree.parse(name).getroot()
    at, by_col, by_row, y, y_by_col, y_by_row = map(float, root.findtext("GeoTransform").split(","))
    col, row = col + 0.5, row + 0.5
    return at + by_col * col + by_row * row, y + y_by_col * col + y_by_row * row


def test_statistics_are_not_carried():
    Path("in.png.aux.xml").write_text(pam(STATISTICS))
    assert filtered("in.png", "out.png", "box:3") == ()
    assert not Path("out.png.aux.xml").exists()


def test_statistics_of_the_picture_before_are_removed():
    Path("out.png.aux.xml").write_text(pam("<SRS>EPSG:32633</SRS>", STATISTICS))
    filtered("in.png", "out.png", "box:3")
    root = ElementTree.parse("out.png.aux.xml").getroot()
    assert [element.tag for element in root] == ["SRS"]
    Path("in.png.aux.xml").write_text(pam(STATISTICS))
    assert run(["blur", "--box", "3", "--in-place", "in.png"]) == 0
    assert not len(ElementTree.parse("in.png.aux.xml").getroot())


@pytest.mark.parametrize(
    "element",
    [geotransform(), "<GCPList></GCPList>", '<Metadata domain="RPC"><MDI key="LINE_OFF">1</MDI></Metadata>'],
)
def test_an_old_position_beside_an_output_is_noted(element):
    """Also if a world file comes along, since GDAL prefers this position."""
    note = "the position in out.png.aux.xml is not that of the output; remove that file"
    Path("out.png.aux.xml").write_text(pam("<SRS>EPSG:32633</SRS>", element))
    assert filtered("in.png", "out.png", "box:3") == (note,)
    Path("in.pgw").write_text("1\n0\n0\n1\n5\n5\n")
    assert filtered("in.png", "out.png", "box:3") == (note,)
    Path("in.png.aux.xml").write_text(pam(geotransform()))
    assert filtered("in.png", "out.png", "box:3") == ()


def test_what_is_still_true_is_copied_as_it_is():
    Path("in.png.aux.xml").write_text(pam("<SRS>EPSG:32633</SRS>", geotransform(), BAND))
    assert filtered("in.png", "out.png", "box:3") == ()
    assert Path("out.png.aux.xml").read_bytes() == Path("in.png.aux.xml").read_bytes()


def test_texts_and_nodata_values_stay_without_statistics():
    band = BAND.replace("</PAM", '<Metadata><MDI key="STATISTICS_MEAN">3</MDI><MDI key="unit">ä</MDI></Metadata></PAM')
    Path("in.png.aux.xml").write_text(pam(band))
    assert filtered("in.png", "out.png", "maxpool:2") == ()
    (after,) = ElementTree.parse("out.png.aux.xml").getroot()
    assert (after.get("band"), after.findtext("NoDataValue"), after.findtext("Description")) == ("1", "-9999", "height")
    assert [(item.get("key"), item.text) for item in after.iter("MDI")] == [("unit", "ä")]


@pytest.mark.parametrize("values", [["0"], ["7", "7.0"], ["NaN", "NaN"], ["0", "7"], ["none"], []])
def test_the_nodata_value_beside_a_picture_selects_ignored_pixels(picture, capfd, values):
    bands = [f"<PAMRasterBand><NoDataValue>{value}</NoDataValue></PAMRasterBand>" for value in values]
    Path("in.png.aux.xml").write_text(pam(*bands))
    status = run(["blur", "--box", "3", "--ignore", "nodata", "in.png", "out.png"])
    if values in (["0", "7"], ["none"], []):
        assert status == 2
        assert "ignore nodata needs a file that names such a value" in capfd.readouterr().err
        return
    assert status == 0
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), box_blur(picture, 3, ignore=float(values[0])))


def test_prefixes_of_names_and_values_stay():
    transform = (
        '<GeodataXform xmlns:xsi="a" xmlns:typens="b" xsi:type="typens:IdentityXform"><WKID>4326</WKID></GeodataXform>'
    )
    Path("in.png.aux.xml").write_text(
        pam(f'<Metadata domain="xml:ESRI" format="xml">{transform}</Metadata>', STATISTICS)
    )
    assert filtered("in.png", "out.png", "box:3") == ()
    content = Path("out.png.aux.xml").read_text()
    assert '<GeodataXform xmlns:xsi="a" xmlns:typens="b" xsi:type="typens:IdentityXform">' in content
    assert "STATISTICS" not in content


@pytest.mark.parametrize(
    ("specs", "jump", "start"),
    [
        (("box:3,stride=2x1",), (2, 1), (0, 0)),
        (("box:3,padding=valid",), (1, 1), (1, 1)),
        (("box:3,padding=5x2",), (1, 1), (-4, -1)),
        (("avgpool:4",), (4, 4), (1.5, 1.5)),
    ],
)
def test_the_position_moves_with_the_pixels(specs, jump, start):
    gcp = '<GCPList><GCP Id="a" Pixel="12.5" Line="8.25" X="1" Y="2"/></GCPList>'
    rpc = '<MDI key="LINE_OFF">10</MDI><MDI key="SAMP_OFF">12</MDI>'
    rpc += '<MDI key="LINE_SCALE">8</MDI><MDI key="SAMP_SCALE">4</MDI>'
    Path("in.png.aux.xml").write_text(pam(geotransform(), gcp, f'<Metadata domain="RPC">{rpc}</Metadata>'))
    assert filtered("in.png", "out.tif", *specs) == ()
    for col, row in ((0, 0), (3, 0), (2, 4)):
        expected = place("in.png.aux.xml", col * jump[0] + start[0], row * jump[1] + start[1])
        assert place("out.tif.aux.xml", col, row) == pytest.approx(expected, abs=1e-6)
    root = ElementTree.parse("out.tif.aux.xml").getroot()
    (point,) = root.iter("GCP")
    centre = [(12.5 - 0.5 - start[0]) / jump[0], (8.25 - 0.5 - start[1]) / jump[1]]
    assert [float(point.get(name)) - 0.5 for name in ("Pixel", "Line")] == pytest.approx(centre)
    values = {item.get("key"): float(item.text) for item in root.iter("MDI")}
    assert values["SAMP_OFF"] == pytest.approx((12 - start[0]) / jump[0])
    assert (values["LINE_SCALE"], values["SAMP_SCALE"]) == (8 / jump[1], 4 / jump[0])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_pixel_of_a_turned_picture_stays_on_its_place(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save("in.png", exif=exif)
    gcps = "".join(f'<GCP Pixel="{col + 0.5}" Line="{row + 0.5}"/>' for row in (0, 7) for col in (0, 10))
    rpc = '<Metadata domain="RPC"><MDI key="LINE_OFF">10</MDI></Metadata>'
    Path("in.png.aux.xml").write_text(pam(geotransform(), f"<GCPList>{gcps}</GCPList>", rpc))
    (note,) = filtered("in.png", "out.png", "box:1,stride=5x7")
    assert note == "the metadata RPC in in.png.aux.xml are left out, since the grid of pixels has changed"
    with Image.open("out.png") as image:
        result = np.asarray(image)
    for (row, col), value in np.ndenumerate(result):
        ((before_row, before_col),) = np.argwhere(picture == value)
        expected = place("in.png.aux.xml", before_col, before_row)
        assert place("out.png.aux.xml", col, row) == pytest.approx(expected, abs=1e-6)
    before, after = (
        [(float(gcp.get("Pixel")) - 0.5, float(gcp.get("Line")) - 0.5) for gcp in ElementTree.parse(name).iter("GCP")]
        for name in ("in.png.aux.xml", "out.png.aux.xml")
    )
    for point, moved in zip(before, after, strict=True):
        assert place("out.png.aux.xml", *moved) == pytest.approx(place("in.png.aux.xml", *point), abs=1e-6)


@pytest.mark.parametrize(
    ("content", "specs", "note"),
    [
        (pam("<x/>").replace("PAM", "Other"), (), "GDAL's metadata in in.png.aux.xml are left out, since they cannot"),
        ("<PAMDataset>", (), "they cannot be read"),
        ('<!DOCTYPE x [<!ENTITY e "e">]>' + pam(), (), "they cannot be read"),
        (pam('<PAMRasterBand band="1"><CategoryNames/></PAMRasterBand>'), (), "the tables of classes in in.png."),
        (pam('<Metadata domain="GEOLOCATION"><MDI key="X">1</MDI></Metadata>'), ("maxpool:2",), "metadata GEOLOCATION"),
        (pam("<GeoTransform>1, 2</GeoTransform>"), ("maxpool:2",), "GeoTransform in in.png.aux.xml are left out"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_noted(content, specs, note):
    Path("in.png.aux.xml").write_text(content)
    (said,) = filtered("in.png", "out.png", *specs)
    assert note in said
    with pytest.raises(WriteError, match="left out"):
        filtered("in.png", "out.png", *specs, strict=True)


def test_bands_of_another_kind_lose_their_descriptions():
    Path("in.png.aux.xml").write_text(pam("<SRS>EPSG:32633</SRS>", BAND))
    notes = filtered("in.png", "out.jpg")
    assert (
        "the descriptions of bands in in.png.aux.xml are left out, since channels or sample type have changed" in notes
    )
    assert [element.tag for element in ElementTree.parse("out.jpg.aux.xml").getroot()] == ["SRS"]


def test_outputs_without_a_folder_have_no_metadata_beside_them(capfdbinary):
    Path("in.png.aux.xml").write_text(pam(STATISTICS))
    assert filtered("in.png", "-", format="png") == ()
    Path("in.png.aux.xml").write_text(pam(BAND))
    (note,) = filtered("in.png", "-", format="png")
    assert note == "GDAL's metadata in in.png.aux.xml are left out, since the output is not a file in a folder"
    assert filtered("in.png", "out.png", strip="most") == ()
    assert not Path("out.png.aux.xml").exists()


def test_reduced_versions_and_masks_beside_a_picture_are_noted():
    for name in ("in.png.ovr", "in.png.msk"):
        Path(name).write_bytes(Path("in.png").read_bytes())
    notes = [
        "the reduced versions in in.png.ovr are left out, since they would show the picture unfiltered",
        "the mask in in.png.msk is left out; give it as the mask to ignore its black pixels",
    ]
    assert [*filtered("in.png", "out.png", "box:3")] == notes
    Path("out.png.ovr").write_bytes(b"")
    notes.append("the reduced versions in out.png.ovr are of the picture that the output replaces; remove that file")
    assert [*filtered("in.png", "out.png", "box:3")] == notes
    assert [*filtered("in.png", "out.png", "box:3", strip="most")] == []


# Updates and makefiles ----------------------------------------------------------

SIDECARS = ("in.pgw", "in.wld", "in.prj", "in.png.aux.xml")


def work(capfd):
    assert run(["blur", "--box", "3", "--update", "--json", "in.png", "--into", "out"]) == 0
    return [json.loads(line)["input"] for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", SIDECARS)
def test_an_update_sees_files_beside_the_input(capfd, name):
    Path("in.pngw").write_text("1\n0\n0\n1\n5\n6\n")
    assert (work(capfd), work(capfd)) == (["in.png"], [])
    Path(name).write_text("1\n0\n0\n1\n2\n3\n")
    assert (work(capfd), work(capfd)) == (["in.png"], [])
    later = time.time() + 100
    Path(name).write_text("1\n0\n0\n1\n2\n4\n")
    os.utime(name, (later, later))
    assert (work(capfd), work(capfd)) == (["in.png"], [])
    Path(name).unlink()
    assert (work(capfd), work(capfd)) == (["in.png"], [])


def test_an_update_compares_the_content_of_files_beside_the_input(capfd):
    Path("in.pgw").write_text("1\n0\n0\n1\n5\n6\n")
    os.utime("in.pgw", (1e9, 1e9))
    assert work(capfd) == ["in.png"]
    Path("copy").write_bytes(Path("in.pgw").read_bytes())
    os.utime("copy", (1e9, 1e9))
    Path("copy").replace("in.pgw")
    assert work(capfd) == []
    (entry,) = map(json.loads, Path("out", update.LOG_NAME).read_text().splitlines()[-1:])
    assert entry["sidecars"]["in.pgw"]["stamp"][2] == os.stat("in.pgw").st_ino


def test_a_depfile_lists_files_beside_the_input():
    Path("in.prj").write_text("PROJCS[...]")
    arguments = ["blur", "--box", "3", "--depfile", "deps.mk", "in.png", "out.png"]
    assert run(arguments) == 0
    assert Path("deps.mk").read_text() == "out.png: in.png\n\nin.png:\n"
    Path("in.pgw").write_text("1\n0\n0\n1\n5\n6\n")
    Path("in.png.aux.xml").write_text(pam(BAND))
    assert run(arguments) == 0
    assert Path("deps.mk").read_text().startswith("out.png: in.png in.pgw in.prj in.png.aux.xml\n")
    assert "\nin.pgw:\n" in Path("deps.mk").read_text()
    assert run([*arguments, "--strip"]) == 0
    assert Path("deps.mk").read_text() == "out.png: in.png\n\nin.png:\n"


def test_a_mask_is_among_the_dependencies(picture, monkeypatch, capfd):
    Image.fromarray((picture % 2 * 255).astype(np.uint8)).save("mask.png")
    mask = ["blur", "--box", "3", "--mask", "mask.png", "in.png"]
    assert run([*mask, "out.png", "--depfile", "deps.mk"]) == 0
    assert Path("deps.mk").read_text().startswith("out.png: in.png mask.png\n")
    monkeypatch.setattr("convfilter.pipeline.mask_file.LEAST_PIXELS", 1)  # a large mask is not held in memory
    for expected in (1, 0):
        capfd.readouterr()
        assert run([*mask, "--into", "out", "--update", "--json"]) == 0
        assert len(capfd.readouterr().out.splitlines()) == expected
    Image.fromarray((picture % 3 * 85).astype(np.uint8)).save("mask.png")
    assert run([*mask, "--into", "out", "--update", "--json"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
