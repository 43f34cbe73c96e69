"""World files move with the pixels: each pixel of a result stays where it was on the map."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convfilter.cli.root import run
from convfilter.errors import WriteError
from convfilter.picture.options import WriteOptions
from convfilter.pipeline import Options, filter_file
from convfilter.pipeline.world_file import names

#: A map of 20 by 10 m pixels, rotated: A, D, B, E, C, F.
WORLD = (20.0, 1.5, -2.0, -10.0, 500_000.0, 4_000_000.0)


@pytest.fixture(autouse=True)
def picture(folder):
    """A picture whose every pixel has a value of its own."""
    values = np.random.default_rng(1).permutation(24 * 30).reshape(24, 30).astype(np.uint16)
    Image.fromarray(values).save("in.png")
    write_world("in.pgw")
    return values


def write_world(name, numbers=WORLD):
    Path(name).write_text("".join(f"{number}\n" for number in numbers))


def place(name, col, row):
    a, d, b, e, c, f = map(float, Path(name).read_text().split())
    return a * col + b * row + c, d * col + e * row + f


def filtered(source, destination, *specs, **write):
    return filter_file(source, destination, Options(specs or ["identity"], write=WriteOptions(**write))).notes


@pytest.mark.parametrize(
    ("specs", "jump", "start"),
    [
        (("box:3,stride=2",), (2, 2), (0, 0)),
        (("box:3,stride=2x1",), (2, 1), (0, 0)),
        (("box:3,padding=valid",), (1, 1), (1, 1)),
        (("box:3,padding=5x2",), (1, 1), (-4, -1)),
        (("avgpool:4",), (4, 4), (1.5, 1.5)),
        (("maxpool:2", "box:5,stride=2,dilation=2,padding=1"), (4, 4), (6.5, 6.5)),
    ],
)
def test_the_world_file_moves_with_the_pixels(specs, jump, start):
    assert filtered("in.png", "out.tif", *specs) == ()
    for col, row in ((0, 0), (3, 0), (2, 4)):
        expected = place("in.pgw", col * jump[0] + start[0], row * jump[1] + start[1])
        assert place("out.tfw", col, row) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_pixel_of_a_turned_picture_stays_on_its_place(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save("in.png", exif=exif)
    filtered("in.png", "out.png", "box:1,stride=5x7")
    with Image.open("out.png") as image:
        result = np.asarray(image)
    for (row, col), value in np.ndenumerate(result):
        ((before_row, before_col),) = np.argwhere(picture == value)
        assert place("out.pgw", col, row) == pytest.approx(place("in.pgw", before_col, before_row), abs=1e-6)


def test_an_unchanged_position_is_copied_as_it_is():
    Path("in.pgw").write_text("  20.000\r\n1.5\r\n-2\r\n-1e1\r\n500000\r\n4000000\r\n")
    filtered("in.png", "out.png", "gaussian:1")
    assert Path("out.pgw").read_bytes() == Path("in.pgw").read_bytes()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("in.pgw", "out.jpg", "out.jgw"),
        ("in.pngw", "out.tiff", "out.tiffw"),
        ("in.wld", "out.tif", "out.wld"),
        ("in.pgw", "OUT.TIF", "OUT.TFW"),
    ],
)
def test_the_world_file_is_named_after_the_output(before, after, expected):
    Path("in.pgw").rename(before)
    filtered("in.png", after, "maxpool:2", allow_loss=True)
    assert {path.name for path in Path().iterdir()} == {"in.png", before, after, expected}


def test_names_of_world_files():
    assert names("a.b/map.tiff") == ("a.b/map.tfw", "a.b/map.tiffw", "a.b/map.wld")
    assert names("map") == ("map.wld",) * 3


def test_a_common_world_file_stays_that_of_the_input():
    Path("in.pgw").rename("in.wld")
    before = Path("in.wld").read_bytes()
    filtered("in.png", "in.tif", "maxpool:2")
    assert Path("in.wld").read_bytes() == before
    assert place("in.tfw", 0, 0) == pytest.approx(place("in.wld", 0.5, 0.5))


def test_a_picture_that_is_replaced_has_its_new_position():
    expected = place("in.pgw", 0.5, 0.5)
    assert run(["pool", "--max", "2", "--in-place", "in.png"]) == 0
    assert place("in.pgw", 0, 0) == pytest.approx(expected)


def test_the_projection_comes_along():
    Path("in.prj").write_text("PROJCS[...]")
    filtered("in.png", "out.png")
    assert Path("out.prj").read_text() == "PROJCS[...]"
    Path("out.prj").write_text("of another file")
    filtered("in.png", "out.png")
    assert Path("out.prj").read_text() == "of another file"


@pytest.mark.parametrize("content", ["", "1 2 3", "1 2 3 4 5 six", "1 2 3 4 5 nan", "1 " * 40_000])
def test_other_files_of_that_name_are_left_alone(content):
    Path("in.pgw").write_text(content)
    assert filtered("in.png", "out.png") == ()
    assert not Path("out.pgw").exists()


@pytest.mark.parametrize("before", ["out.pgw", "out.pngw", "out.wld"])
def test_an_old_world_file_never_counts_before_the_new_one(before):
    Path("in.pgw").rename("in.wld")
    write_world(before, range(1, 7))
    assert filtered("in.png", "out.png", "maxpool:2") == ()
    expected = place("in.wld", 0.5, 0.5)
    read = next(name for name in names("out.png") if Path(name).exists())
    assert place(read, 0, 0) == pytest.approx(expected)


@pytest.mark.parametrize("before", ["out.pgw", "out.pngw", "out.wld"])
@pytest.mark.parametrize("strip", [None, "most"])
def test_an_old_world_file_beside_an_output_without_position_is_noted(before, strip):
    Path("in.pgw").rename(before)
    note = f"the position in {before} is not that of the output; remove that file"
    assert filtered("in.png", "out.png", "box:3", strip=strip) == (note,)
    assert Path(before).exists()
    with pytest.raises(WriteError, match="remove that file"):
        filtered("in.png", "out.png", "box:3", strip=strip, strict=True)


def test_a_position_of_the_picture_itself_is_not_noted():
    assert run(["blur", "--box", "3", "--strip", "--in-place", "--strict", "in.png"]) == 0
    assert run(["pool", "--max", "2", "--strip", "--in-place", "--strict", "in.png"]) == 1
    Path("in.pgw").rename("in.wld")
    assert filtered("in.png", "in.tif", "box:3", strip="most") == ()


def test_stripped_outputs_have_no_position():
    assert filtered("in.png", "out.png", strip="most") == ()
    assert not Path("out.pgw").exists()


def test_outputs_that_have_no_place_on_the_map_are_noted(capfdbinary):
    assert filtered("in.png", "-", format="png") == (
        "the position in in.pgw is left out, since the output is not a file in a folder",
    )
    (note,) = filtered("in.png", "out.npy")
    assert note == "the position in in.pgw is left out, since the output is not a picture of the same map"
    with pytest.raises(WriteError, match=r"the position in in.pgw is left out.*strict=True"):
        filtered("in.png", "-", format="png", strict=True)


def test_a_failure_leaves_the_old_world_file():
    write_world("out.pgw", range(6))
    before = Path("out.pgw").read_bytes()
    Path("in.png").write_bytes(Path("in.png").read_bytes()[:-40])
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 1
    assert Path("out.pgw").read_bytes() == before


def test_links_out_of_the_folder_are_not_followed(tmp_path_factory):
    mine = tmp_path_factory.mktemp("mine") / "mine.txt"
    mine.write_text("mine")
    Path("out.pgw").symlink_to(mine)
    assert run(["pool", "--max", "2", "in.png", "out.png"]) == 1
    assert mine.read_text() == "mine"
