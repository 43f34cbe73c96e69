"""The cases of the engine benchmark: the same work on the same samples, for us and for each peer.

Padding repeats the edge, where the peer can do so; notes name differences in the work of a peer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

import convfilter

Image = npt.NDArray[Any]
OURS = "convfilter"

#: Peer: (module, distribution).
PEERS = {
    "OpenCV": ("cv2", "opencv-python-headless"),
    "PyTorch": ("torch", "torch"),
    "scipy.ndimage": ("scipy.ndimage", "scipy"),
    "scikit-image": ("skimage.filters", "scikit-image"),
    "Pillow": ("PIL.Image", "pillow"),
}
#: Distribution of OpenCV with the guided filter.
CONTRIB = "opencv-contrib-python-headless"
SINGLE_THREADED = ("scipy.ndimage", "scikit-image", "Pillow")
_SCIPY_FLOOR = 8.0
#: Beyond this side SciPy takes minutes.
_SLOW_MEDIAN = 5


def as_it_is(result: Any) -> Image:
    """Convert a result, an array or a Pillow image, to an array."""
    return np.asarray(result)


@dataclass(frozen=True)
class Contender:
    """One contender's call for a case, and the conversion of its result to (rows, cols, channels)."""

    name: str
    call: Callable[[], Any]
    floor: float | None = None
    note: str = ""
    image: Callable[[Any], Image] = as_it_is


@dataclass
class Case:
    """One row: our call, and the calls of the installed peers."""

    name: str
    peers: Sequence[str]
    contenders: list[Contender] = field(default_factory=list)

    def ours(self, call: Callable[[], Any]) -> Case:
        """Set our own call."""
        self.contenders.append(Contender(OURS, call))
        return self

    def peer(
        self,
        name: str,
        call: Callable[[], Any],
        floor: float | None = None,
        note: str = "",
        image: Callable[[Any], Image] = as_it_is,
    ) -> Case:
        """Add a peer's call, and the ratio of times (theirs over ours) that we promise."""
        if name in self.peers:
            self.contenders.append(Contender(name, call, floor, note, image))
        return self


class Bench:
    """The picture, the kernels, and the peers at the given number of threads."""

    def __init__(self, megapixels: float, threads: int, without: Sequence[str] = ()) -> None:
        self.threads = threads
        self.size = picture_size(megapixels)
        self.rgb = noise(megapixels)
        self.peers = [name for name, (module, _) in PEERS.items() if name not in without and is_installed(module)]
        modules: list[Any] = [import_module(PEERS[name][0]) if name in self.peers else None for name in PEERS]
        self.cv2, self.torch, self.ndimage, self.skimage, _ = modules
        if self.cv2:
            self.cv2.setNumThreads(threads)
            self.border = self.cv2.BORDER_REPLICATE
        if self.torch:
            self.torch.set_num_threads(threads)

    @cached_property
    def rgb_float(self) -> Image:
        """The same samples as float32."""
        return self.rgb.astype(np.float32)

    @cached_property
    def pillow(self) -> Any:
        """The picture as a Pillow image."""
        return import_module("PIL.Image").fromarray(self.rgb)

    @cached_property
    def planes(self) -> Any:
        """The picture in PyTorch's fastest layout, planar; converted outside the measured time."""
        return self.torch.from_numpy(np.ascontiguousarray(self.rgb.transpose(2, 0, 1)))[None]

    @cached_property
    def planes_float(self) -> Any:
        """The same, float32."""
        return self.planes.float()

    def case(self, name: str) -> Case:
        """Begin a row."""
        return Case(name, self.peers)


def is_installed(module: str) -> bool:
    """Whether a peer can be measured here."""
    return find_spec(module.partition(".")[0]) is not None


def picture_size(megapixels: float) -> tuple[int, int]:
    """Return (rows, cols) in the proportion 3 to 4: 3000 x 4000 for 12 megapixels."""
    rows = round((megapixels * 0.75e6) ** 0.5)
    return rows, round(rows / 0.75)


def noise(megapixels: float) -> Image:
    """Make an RGB picture of noise, in which any wrong sample shows."""
    return np.random.default_rng(0).integers(0, 256, (*picture_size(megapixels), 3), np.uint8)


def full_rank(side: int) -> npt.NDArray[np.float64]:
    """Make a kernel of random weights of both signs, sum 1."""
    weights = np.random.default_rng(side).random((side, side)) - 0.25
    normalized: npt.NDArray[np.float64] = weights / weights.sum()
    return normalized


def cases(bench: Bench) -> list[Case]:
    """Return the whole table."""
    return [
        *(gaussian(bench, sigma, floor, 4.0) for sigma, floor in ((2, 1.3), (4, 1.3))),
        *(gaussian(bench, sigma, floor) for sigma, floor in ((8, 3.0), (20, 10.0), (64, 60.0))),
        *(_box(bench, side) for side in (3, 11, 101)),
        _sobel(bench),
        *(kernel(bench, side, floor) for side, floor in ((3, 1.0), (7, 1.5), (15, 1.5), (31, 1.5))),
        _layer(bench, "5x5, stride 2, float32", stride=2),
        _layer(bench, "5x5, dilation 4, float32", dilation=4),
        _transposed(bench, 4, 2),
        _max_pool(bench, 3, 2, 2.0),
        _max_pool(bench, 31, 1, 10.0),
        _dilate(bench, 7, 1.5),
        _canny(bench, 2.0, 3.0),
        *(_masked(bench, *work, holes) for holes in _HOLES for work in _MASKED),
        _bilateral(bench, 4, 1.0),
        _guided(bench, 16),
        *(_median(bench, side, floor) for side, floor in ((3, 1.0), (5, 1.0), (15, 1.5), (51, 1.5))),
    ]


def gaussian(bench: Bench, sigma: float, floor: float | None = None, support: float | None = None) -> Case:
    """Blur; ours is the whole Gaussian, OpenCV's has ``support`` sigmas or its default."""
    side = 0 if support is None else 2 * int(np.ceil(support * sigma)) + 1
    note = f"support {side}" if side else "its default support, about 3 sigma"
    case = bench.case(f"Gaussian, sigma {sigma:g}")
    case.ours(lambda: convfilter.gaussian_blur(bench.rgb, sigma, threads=bench.threads))
    case.peer(
        "OpenCV",
        lambda: bench.cv2.GaussianBlur(bench.rgb, (side, side), sigma, borderType=bench.border),
        floor,
        note,
    )
    case.peer(
        "scipy.ndimage",
        lambda: bench.ndimage.gaussian_filter(bench.rgb, (sigma, sigma, 0), mode="nearest"),
        _SCIPY_FLOOR,
        "support 4 sigma",
    )
    case.peer(
        "scikit-image",
        lambda: bench.skimage.gaussian(bench.rgb, sigma, mode="nearest", channel_axis=-1, preserve_range=True),
        note="support 4 sigma, float64 result",
    )
    image_filter = import_module("PIL.ImageFilter")
    case.peer("Pillow", lambda: bench.pillow.filter(image_filter.GaussianBlur(sigma)), note="three boxes instead")
    return case


def _box(bench: Bench, side: int) -> Case:
    case = bench.case(f"box {side}")
    case.ours(lambda: convfilter.box_blur(bench.rgb, side, threads=bench.threads))
    case.peer("OpenCV", lambda: bench.cv2.blur(bench.rgb, (side, side), borderType=bench.border), 1.0)
    case.peer(
        "scipy.ndimage",
        lambda: bench.ndimage.uniform_filter(bench.rgb, (side, side, 1), mode="nearest"),
        _SCIPY_FLOOR,
    )
    image_filter = import_module("PIL.ImageFilter")
    case.peer("Pillow", lambda: bench.pillow.filter(image_filter.BoxBlur(side // 2)))
    return case


def _sobel(bench: Bench) -> Case:
    cv2, ndimage = bench.cv2, bench.ndimage

    def opencv() -> Image:
        x = cv2.Sobel(bench.rgb, cv2.CV_32F, 1, 0, borderType=bench.border)
        y = cv2.Sobel(bench.rgb, cv2.CV_32F, 0, 1, borderType=bench.border)
        return np.asarray(cv2.convertScaleAbs(cv2.magnitude(x, y)))

    def scipy() -> Image:
        # Not ndimage.sobel: that smooths across the channels as well.
        smooth = (ndimage.correlate1d(bench.rgb, [1, 2, 1], axis, np.float32, "nearest") for axis in (0, 1))
        x, y = (ndimage.correlate1d(part, [1, 0, -1], 1 - axis, mode="nearest") for axis, part in enumerate(smooth))
        return _clipped(np.hypot(x, y))

    case = bench.case("Sobel magnitude to uint8")
    case.ours(lambda: convfilter.sobel(bench.rgb, threads=bench.threads))
    case.peer("OpenCV", opencv, 4.0, "Sobel x and y in CV_32F, magnitude, convertScaleAbs")
    case.peer("scipy.ndimage", scipy, _SCIPY_FLOOR, "correlate1d in float32, hypot, rint")
    case.peer(
        "scikit-image",
        lambda: np.dstack([bench.skimage.sobel(bench.rgb[..., channel], mode="nearest") for channel in range(3)]),
        note="channel by channel, float64 result on another scale",
        image=lambda result: np.minimum(result * (255 * 4 * 2**0.5), 255),
    )
    return case


def kernel(bench: Bench, side: int, floor: float | None = None) -> Case:
    """Filter with a kernel of full rank."""
    weights = full_rank(side)
    case = bench.case(f"full-rank {side}x{side}")
    case.ours(lambda: convfilter.convolve(bench.rgb, weights, threads=bench.threads))
    case.peer("OpenCV", lambda: bench.cv2.filter2D(bench.rgb, -1, weights, borderType=bench.border), floor)
    case.peer(
        "scipy.ndimage",
        lambda: _clipped(bench.ndimage.correlate(bench.rgb, weights[..., np.newaxis], np.float32, "nearest")),
        _SCIPY_FLOOR,
        "float32 sums, then rint and clip: its own uint8 result wraps round",
    )
    if side <= 5:
        image_filter = import_module("PIL.ImageFilter")
        flat = weights[::-1].ravel().tolist()
        pillow = image_filter.Kernel((side, side), flat, 1.0)
        case.peer("Pillow", lambda: bench.pillow.filter(pillow), note="copies the border")
    return case


def _clipped(values: Image) -> Image:
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return values.astype(np.uint8)


def _layer(bench: Bench, name: str, stride: int = 1, dilation: int = 1) -> Case:
    """Filter each channel of float32 samples separately, with zero padding, as a depthwise layer does."""
    weights, torch = full_rank(5), bench.torch
    pad = 2 * dilation
    spread = np.zeros((4 * dilation + 1, 4 * dilation + 1, 1), np.float32)
    spread[::dilation, ::dilation, 0] = weights
    case = bench.case(name)
    case.ours(
        lambda: convfilter.convolve(
            bench.rgb_float,
            weights,
            stride=stride,
            dilation=dilation,
            padding=pad,
            padding_mode="constant",
            threads=bench.threads,
        )
    )
    if torch:
        layer = torch.from_numpy(np.stack([weights] * 3)[:, np.newaxis].astype(np.float32))
        case.peer(
            "PyTorch",
            lambda: torch.nn.functional.conv2d(
                bench.planes_float, layer, stride=stride, dilation=dilation, padding=pad, groups=3
            ),
            2.0,
            "conv2d, groups=3, planar",
            _from_planes,
        )
    case.peer(
        "scipy.ndimage",
        lambda: bench.ndimage.correlate(bench.rgb_float, spread, mode="constant")[::stride, ::stride],
        _SCIPY_FLOOR,
        "computes every output, then drops" if stride > 1 else "",
    )
    return case


def _transposed(bench: Bench, kernel: int, stride: int) -> Case:
    """Upsample a quarter of the picture to full size by a transposed convolution across channels."""
    torch = bench.torch
    small = np.ascontiguousarray(bench.rgb_float[::stride, ::stride])
    weights = np.stack([[full_rank(kernel)] * 3] * 3).astype(np.float32)
    pad = (kernel - stride) // 2
    case = bench.case(f"transposed {kernel}x{kernel}, stride {stride}, float32")
    case.ours(lambda: convfilter.conv_transpose2d(small, weights, stride=stride, padding=pad, threads=bench.threads))
    if torch:
        planes = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))[None]
        layer = torch.from_numpy(weights)
        case.peer(
            "PyTorch",
            lambda: torch.nn.functional.conv_transpose2d(planes, layer, stride=stride, padding=pad),
            1.0,
            "conv_transpose2d, planar",
            _from_planes,
        )
    return case


def _max_pool(bench: Bench, side: int, stride: int, floor: float) -> Case:
    torch = bench.torch
    case = bench.case(f"max pooling {side}x{side}, stride {stride}")
    case.ours(lambda: convfilter.max_pool(bench.rgb, side, stride=stride, padding=side // 2, threads=bench.threads))
    if torch:
        case.peer(
            "PyTorch",
            lambda: torch.nn.functional.max_pool2d(bench.planes, side, stride, side // 2),
            floor,
            "max_pool2d on uint8, planar",
            _from_planes,
        )
    case.peer(
        "scipy.ndimage",
        lambda: bench.ndimage.maximum_filter(bench.rgb, (side, side, 1), mode="nearest")[::stride, ::stride],
        _SCIPY_FLOOR,
        "computes every output, then drops" if stride > 1 else "",
    )
    if bench.cv2 and stride == 1:
        cross = np.ones((side, side), np.uint8)
        case.peer("OpenCV", lambda: bench.cv2.dilate(bench.rgb, cross), note="dilate: no stride")
    return case


def _dilate(bench: Bench, radius: int, floor: float) -> Case:
    from convfilter.filters import footprints

    disk = (footprints.disk(radius).matrix != 0).astype(np.uint8)
    case = bench.case(f"dilation, disk {2 * radius + 1}x{2 * radius + 1}")
    case.ours(lambda: convfilter.dilate(bench.rgb, disk, threads=bench.threads))
    case.peer("OpenCV", lambda: bench.cv2.dilate(bench.rgb, disk, borderType=bench.border), floor)
    case.peer(
        "scipy.ndimage",
        lambda: bench.ndimage.grey_dilation(bench.rgb, footprint=disk[..., np.newaxis], mode="nearest"),
        _SCIPY_FLOOR,
    )
    return case


def _canny(bench: Bench, sigma: float, floor: float) -> Case:
    gray = bench.rgb_float[..., 0] / 255
    case = bench.case(f"Canny, sigma {sigma:g}, one channel, float32")
    case.ours(lambda: convfilter.canny(gray, sigma, threads=bench.threads))
    if bench.skimage:
        feature = import_module("skimage.feature")
        case.peer("scikit-image", lambda: feature.canny(gray, sigma), floor)
    return case


#: The filter without a mask: no peer, since it does less work.
UNMASKED = "unmasked"
#: Filters with a mask, and the least share of their time that they take without a mask.
_MASKED: tuple[tuple[str, str, float | None], ...] = (
    ("Gaussian, sigma 2", "gaussian:2", 1 / 2.2),
    ("Gaussian, sigma 4", "gaussian:4", 1 / 2.2),
    ("Gaussian, sigma 8", "gaussian:8", 1 / 2.2),
    ("Gaussian, sigma 30", "gaussian:30", 1 / 2.2),
    ("box 3x3", "box:3", None),
    ("box 31x31", "box:31", None),
    ("box 101x101", "box:101", None),
    ("sharpening 3x3", "kernel:0 -1 0; -1 5 -1; 0 -1 0", None),
    ("average pooling 3x3", "avgpool:3", None),
    ("max pooling 3x3", "maxpool:3", None),
    ("erosion 5x5", "erode:5", None),
    ("median 3x3", "median:3", None),
    ("median 5x5", "median:5", None),
    ("median 7x7", "median:7", None),
    ("median 15x15", "median:15", None),
    ("percentile of a disk", "percentile:disk:4,0.9", None),
    ("Sobel magnitude", "sobel:magnitude", None),
    ("Laplacian", "laplacian", None),
)
#: Ignored pixels: a 36th of the picture in one piece, every 50th pixel of every 50th row, and three of ten at random.
_HOLES = ("", ", holes everywhere", ", random holes")


def _masked(bench: Bench, name: str, spec: str, floor: float | None, holes: str) -> Case:
    """Leave out the pixels of ``holes``; compare with the filter without a mask."""
    rows, cols = bench.rgb.shape[:2]
    mask = np.ones((rows, cols), np.uint8)
    if holes == ", random holes":
        mask = (np.random.default_rng(3).random((rows, cols)) >= 0.3).astype(np.uint8)
    elif holes:
        mask[::50, ::50] = 0
    else:
        mask[rows // 6 : rows // 3, cols // 6 : cols // 3] = 0
    case = bench.case(f"masked {name}{holes}")
    case.ours(lambda: convfilter.apply(bench.rgb, spec, mask=mask, threads=bench.threads))
    plain = Contender(UNMASKED, lambda: convfilter.apply(bench.rgb, spec, threads=bench.threads), floor)
    case.contenders.append(plain)
    return case


def _bilateral(bench: Bench, radius: int, floor: float) -> Case:
    levels = 25.5
    case = bench.case(f"bilateral, d={2 * radius + 1}")
    case.ours(lambda: convfilter.bilateral_filter(bench.rgb, 2.0, levels / 255, radius=radius, threads=bench.threads))
    case.peer(
        "OpenCV",
        lambda: bench.cv2.bilateralFilter(bench.rgb, 2 * radius + 1, levels, 2.0, borderType=bench.border),
        floor,
        "weights from a table",
    )
    return case


def _guided(bench: Bench, radius: int) -> Case:
    gray = bench.rgb_float[..., 0] / 255
    case = bench.case(f"guided filter, radius {radius}, one channel, float32")
    case.ours(lambda: convfilter.guided_filter(gray, radius, padding_mode="symmetric", threads=bench.threads))
    if bench.cv2 and hasattr(bench.cv2, "ximgproc"):  # the package opencv-contrib has it
        case.peer("OpenCV", lambda: bench.cv2.ximgproc.guidedFilter(gray, gray, radius, 0.01), note="float32 sums")
    return case


def _median(bench: Bench, side: int, floor: float) -> Case:
    case = bench.case(f"median {side}x{side}")
    case.ours(lambda: convfilter.median(bench.rgb, side, threads=bench.threads))
    case.peer("OpenCV", lambda: bench.cv2.medianBlur(bench.rgb, side), floor, "one thread")
    if side <= _SLOW_MEDIAN:
        case.peer(
            "scipy.ndimage",
            lambda: bench.ndimage.median_filter(bench.rgb, (side, side, 1), mode="nearest"),
            _SCIPY_FLOOR,
        )
    return case


def _from_planes(result: Any) -> Image:
    return np.moveaxis(result[0].numpy(), 0, 2)
