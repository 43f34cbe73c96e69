"""Row writers: the same file, in whatever order and from however many threads rows come."""

import io
import threading

import numpy as np
import pytest
from samples import noise

from convfilter.picture import write
from convfilter.picture.formats import by_suffix
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline

HEIGHT, WIDTH = 203, 90
SUFFIXES = [".png", ".jpg", ".tif", ".ppm", ".pam"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Set small blocks, so that small pictures have several."""
    monkeypatch.setattr("convfilter.picture.png.write.STRIP_BYTES", 3000)
    monkeypatch.setattr("convfilter.picture.jpeg.write.BAND_BYTES", 8000)
    monkeypatch.setattr("convfilter.picture.tiff.write.STRIP_BYTES", 3000)
    monkeypatch.setattr("convfilter.picture.codecs.pnm_layout.BAND_BYTES", 1500)


@pytest.fixture
def pixels():
    return noise((HEIGHT, WIDTH, 3))


def written(suffix, fill, threads=2, prepare=None):
    """Return the bytes of a file whose rows ``fill`` writes."""
    file, outline = io.BytesIO(), Outline(WIDTH, HEIGHT, "rgb", False, metadata=Metadata())
    options = WriteOptions(threads=threads)
    with write.row_writer(file, by_suffix(suffix), outline, options, np.dtype(np.uint8), prepare) as writer:
        fill(writer)
        writer.finish()
    return file.getvalue()


def in_order(pixels, rows=17):
    def fill(writer):
        for top in range(0, HEIGHT, rows):
            writer.write(pixels[top : top + rows])

    return fill


def bands(pixels, *cuts, rows=13):
    """Fill from a thread for each band, of which each writes some rows at a time."""

    def fill(writer):
        def write_band(begin, end):
            for top in range(begin, end, rows):
                writer.write_at(top, pixels[top : min(top + rows, end)])

        ends = [*cuts, HEIGHT]
        threads = [threading.Thread(target=write_band, args=each) for each in zip([0, *cuts], ends, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return fill


def from_below(pixels, rows=11):
    def fill(writer):
        for top in reversed(range(0, HEIGHT, rows)):
            writer.write_at(top, pixels[top : top + rows])

    return fill


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_in_any_order_give_the_same_file(suffix, pixels):
    expected = written(suffix, lambda writer: writer.write_all(pixels))
    assert written(suffix, in_order(pixels)) == expected
    assert written(suffix, from_below(pixels)) == expected
    for cuts in [(), (100,), (1,), (202,), (64, 65, 160)]:
        assert written(suffix, bands(pixels, *cuts)) == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_prepared_in_any_order(suffix, pixels):
    expected = written(suffix, lambda writer: writer.write_all(255 - pixels))
    assert written(suffix, bands(pixels, 50), prepare=lambda rows: 255 - rows) == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fill", [in_order, from_below])
def test_a_restart_drops_all_rows(suffix, fill, pixels):
    expected = written(suffix, in_order(pixels))

    def begin_again(writer):
        writer.write_at(100, pixels[100:150])
        writer.write_at(0, 255 - pixels[:60])
        writer.restart()
        fill(pixels)(writer)

    assert written(suffix, begin_again) == expected


def test_memory_of_encoded_rows_is_used_again(pixels):
    """Blocks of a lower band wait to be written, but not their rows."""

    def fill(writer):
        from_below(pixels)(writer)
        assert len(writer._memory._free) <= 2

    written(".png", fill)


def test_an_encoder_that_fails_does_so_in_the_thread_that_writes(pixels):
    def fail(rows):
        raise MemoryError

    with pytest.raises(MemoryError):
        written(".png", lambda writer: writer.write_at(50, pixels[50:150]), prepare=fail)
