"""Division of cores and memory among the pictures of a batch: how many run at a time, with how many threads each."""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING

from convfilter.errors import ConvfilterError
from convfilter.machine.memory import available_memory
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.pipeline import Options

_BYTES_OF_A_FILE_BYTE = 4
#: Bytes of decoders, encoders and scratch for each pixel, measured with JPEG, PNG, WebP and TIFF.
_CODEC_BYTES = 8
#: Pictures below this size run in parallel without a memory check.
_SMALL_BYTES = 64 * 2**20


class Share(NamedTuple):
    """Division of cores: pictures at a time, and threads for each."""

    jobs: int
    threads: int


def share(files: int, jobs: int | None, threads: int | None, available: int) -> Share:
    """Divide the cores among pictures; jobs times threads never exceeds the cores.

    Parameters
    ----------
    files : int
        Number of pictures to filter.
    jobs, threads : int, or None
        Requested pictures at a time, and threads for each. None: as many pictures as cores, and the remaining cores as
        threads.
    available : int
        Number of available cores.

    Returns
    -------
    Share

    Examples
    --------
    >>> share(100, None, None, 8), share(2, None, None, 8), share(100, None, 4, 8)
    (Share(jobs=8, threads=1), Share(jobs=2, threads=4), Share(jobs=2, threads=4))
    """
    wanted = jobs or available // min(threads or 1, available)
    count = max(1, min(wanted, available, files))
    most = max(1, available // count)
    return Share(count, min(threads or most, most))


class Header(NamedTuple):
    """Header of a picture file: shape, sample type, whether the last channel is alpha, and frames."""

    shape: tuple[int, int, int]
    dtype: str
    alpha: bool
    frames: int


def header_of(path: str) -> Header | None:
    """Read a picture's header; return None if it cannot be read.

    Parameters
    ----------
    path : str
    """
    import warnings

    if not os.path.isfile(path):  # opening a FIFO would block and consume its data
        return None
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                bands = 4 if image.mode in ("P", "PA") else len(image.getbands())
                # Pillow has no mode for 16-bit colour.
                deep = image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)
                dtype = "f4" if image.mode in ("F", "I") else "u2" if deep else "u1"
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                return Header((image.height, image.width, bands), dtype, bands in (2, 4), frames)
    except Exception:  # the worker that filters the file will report the problem
        return _size_only(path)


class _SizeKnown(ConvfilterError):
    """Raised to abort reading once the size is known."""


def _size_only(path: str) -> Header | None:
    """Read the size in a format that Pillow does not know, by aborting the format's reader at its size check.

    The sample type and the channels are the largest that occur in such formats.
    """
    from convfilter.picture.read import ReadOptions, opened

    sizes: list[tuple[int, int]] = []

    def note_size(width: int, height: int) -> None:
        sizes.append((height, width))
        raise _SizeKnown("the size is known")

    try:
        with opened(path, ReadOptions(max_pixels=sys.maxsize, check_size=note_size)):
            pass
    except Exception:  # the worker that filters the file will report the problem
        pass
    return Header((*sizes[0], 4), "f4", True, 1) if sizes else None


class Memory:
    """Quota of memory: accounts for the bytes that running jobs may use.

    Parameters
    ----------
    options : Options
        Options of the pipeline.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._reserved: dict[str, int] = {}
        self._needed: dict[Header, int] = {}

    def needed(self, source: str) -> int:
        """Estimate the bytes of a picture's job; 0 for a picture that will be refused."""
        header = header_of(source)
        if header is None:  # a format of unknown size, such as a TIFF of floats; such files compress badly
            return _BYTES_OF_A_FILE_BYTE * os.path.getsize(source) if os.path.isfile(source) else 0
        if header.shape[0] * header.shape[1] > self._options.read.max_pixels:
            return 0
        if header not in self._needed:
            self._needed[header] = planned_bytes(header, self._options)
        return self._needed[header]

    def admits(self, needed: int) -> bool:
        """Whether a picture may start while others run; if none runs, it may."""
        if not self._reserved or needed < _SMALL_BYTES:
            return True
        # The quota of running jobs counts in full, though they may have allocated part of it already.
        return needed + sum(self._reserved.values()) <= available_memory()

    def reserve(self, source: str, needed: int) -> None:
        """Record the start of a job."""
        self._reserved[source] = needed

    def release(self, source: str) -> None:
        """Record the end of a job."""
        self._reserved.pop(source, None)


def planned_bytes(header: Header, options: Options) -> int:
    """Return the bytes that a job needs: for the picture, its result, intermediate results, decoder and encoder.

    Parameters
    ----------
    header : Header
    options : Options

    Returns
    -------
    int
        Bytes; 0 if the stack cannot run on such a picture.
    """
    from convfilter.errors import ConvfilterError
    from convfilter.filters import stack
    from convfilter.planning import plan_stack
    from convfilter.sample_types import computed_in

    try:
        stages = stack.stages(options.specs, **options.defaults)
        plan = plan_stack(stages, header.shape, computed_in(header.dtype), alpha=header.alpha, gray=options.gray)
    except ConvfilterError:
        return 0
    sample_bytes: int = computed_in(header.dtype).itemsize
    results = [stage.rows.output * stage.cols.output * stage.output_channels for stage in plan.stages]
    between = [stage.result.itemsize * samples for stage, samples in zip(plan.stages, results[:-1], strict=False)]
    pixels, samples = math.prod(header.shape[:2]), math.prod(header.shape)
    # Two intermediate results exist at a time: a stage's input and its result.
    needed = max(map(sum, zip([0, *between], [*between, 0], strict=True)))
    needed += 2 * plan.between.itemsize * samples if options.linear else 0
    needed += (samples + results[-1]) * sample_bytes * header.frames
    return needed + max(samples, results[-1]) * sample_bytes + _CODEC_BYTES * pixels
