"""Rows of the catalogue: ranks, morphology, and the bilateral and guided filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from convfilter.errors import ParameterError, shown
from convfilter.filters.operators import Bilateral, Guided, Morphology, MorphologyKind, Rank
from convfilter.filters.parameters import Choice, Number, Parameter, Text, Window
from convfilter.filters.row import ALL_KEYWORDS, Filter
from convfilter.filters.stage import Stage

_SERRA = "Serra, Image Analysis and Mathematical Morphology, 1982"
_MEYER = "Meyer, Iterative image transformations for an automatic screening of cervical smears, 1979"
_WINDOW = "N, WIDTHxHEIGHT, disk:RADIUS, or a kernel file (its nonzero cells)"


def _median(window: str) -> Stage:
    from convfilter.filters import footprints

    return Stage(Rank(footprints.of_text(window), is_median=True))


def _percentile(window: str, p: float | None) -> Stage:
    from convfilter.filters import footprints

    text, comma, last = window.rpartition(",")
    if p is not None and comma and footprints.is_size(text.strip()):
        raise ParameterError(f"percentile takes the fraction once, got {shown(last.strip())} and p={p:g}")
    if p is None:
        if not comma:
            raise ParameterError(f"percentile needs the fraction of samples below it, as in {window},0.9")
        try:
            p, window = Number("P", minimum=0, maximum=1).parse(last.strip()), text.strip()
        except ValueError as error:
            raise ParameterError(f"percentile p {error}, got {last.strip()}") from None
    return Stage(Rank(footprints.of_text(window), p))


def _morphology(kind: MorphologyKind) -> Callable[[str], Stage]:
    def build(window: str) -> Stage:
        from convfilter.filters import footprints

        return Stage(Morphology(kind, footprints.of_text(window)))

    return build


def _morphology_row(name: str, kind: MorphologyKind, summary: str, formula: str, source: str = _SERRA) -> Filter:
    window = Parameter("window", Window(), f"The footprint: {_WINDOW}.", None)
    return Filter(name, summary, formula, f"{name}:disk:3", _morphology(kind), (window,), source=source)


def _bilateral(sigma_space: str, sigma_range: float | None, radius: int | None, distance: Literal["l1", "l2"]) -> Stage:
    """Build a bilateral filter; the text ``sigma_space`` is one number, or both sigmas."""
    try:
        sigmas = [Number("NUMBER").parse(part.strip()) for part in sigma_space.split(",")]
    except ValueError as error:
        raise ParameterError(f"bilateral SIGMA_SPACE and SIGMA_RANGE {error}, got {shown(sigma_space)}") from None
    sigmas += [] if sigma_range is None else [sigma_range]
    if len(sigmas) > 2:
        raise ParameterError(f"bilateral takes SIGMA_SPACE,SIGMA_RANGE, got {len(sigmas)} numbers")
    return Stage(Bilateral(sigmas[0], sigmas[1] if len(sigmas) > 1 else 0.1, radius, distance))


def _guided(radius: int, eps: float, guide: str | None) -> Stage:
    return Stage(Guided(radius, eps, guide))


WINDOW_ROWS = (
    Filter(
        "median",
        "Median of each window.",
        "the middle of the sorted samples, or the mean of the two in the middle",
        "median:5",
        _median,
        (Parameter("window", Window(), f"The pixels that are sorted: {_WINDOW}.", None),),
        source="Tukey, Exploratory Data Analysis, 1977; Perreault and Hebert, Median filtering in constant time, 2007",
    ),
    Filter(
        "percentile",
        "Percentile of each window.",
        "the sample at place p (n - 1) of n sorted ones, linear between two",
        "percentile:9x9,p=0.9",
        _percentile,
        (
            Parameter("window", Window("WINDOW,P"), f"{_WINDOW}; then, after a comma, P from 0 to 1.", None),
            Parameter("p", Number("P", minimum=0, maximum=1), "The fraction of the samples below: 0.5 is the median."),
        ),
        source="Hyndman and Fan, Sample quantiles in statistical packages, 1996, definition 7",
    ),
    _morphology_row(
        "erode", "erode", "Erosion: the least sample under a footprint.", "min of f(x + b) for b in the footprint"
    ),
    _morphology_row(
        "dilate",
        "dilate",
        "Dilation: the largest sample under the footprint, rotated by 180 degrees.",
        "max of f(x - b) for b in the footprint",
    ),
    _morphology_row("open", "open", "Opening: removes bright details smaller than the footprint.", "dilate(erode(f))"),
    _morphology_row("close", "close", "Closing: removes dark details smaller than the footprint.", "erode(dilate(f))"),
    _morphology_row(
        "morphgradient",
        "gradient",
        "Morphological gradient: edges as wide as the footprint.",
        "dilate(f) - erode(f)",
        "Beucher and Lantuejoul, Use of watersheds in contour detection, 1979",
    ),
    Filter(
        "bilateral",
        "Bilateral filter: edge-preserving mean of near pixels of similar colour.",
        "sum w I / sum w, w = exp(-d^2 / 2 space^2 - D^2 / 2 range^2), d pixels and the colour D apart",
        "bilateral:3,sigma_range=0.1",
        _bilateral,
        (
            Parameter(
                "sigma_space",
                Text("SIGMA_SPACE[,SIGMA_RANGE]"),
                "Standard deviations of the distance, and of the colours' difference as a fraction of full scale.",
                None,
                "px",
            ),
            Parameter(
                "sigma_range",
                Number("SIGMA_RANGE"),
                "Standard deviation of the colours' difference; 0.1 if left out.",
                unit="of full scale",
            ),
            Parameter(
                "radius",
                Number("RADIUS", minimum=1, maximum=500, integer=True),
                "Pixels within this radius count; OpenCV's d is 2 RADIUS + 1. If left out, 3 SIGMA_SPACE.",
                unit="px",
            ),
            Parameter(
                "distance",
                Choice(("l1", "l2")),
                "Distance of colours. l1: sum of the channels' differences, as OpenCV; l2: root of the sum of squares.",
                "l1",
            ),
        ),
        tuple(name for name in ALL_KEYWORDS if name != "flip"),
        source="Tomasi and Manduchi, Bilateral filtering for gray and color images, 1998",
    ),
    Filter(
        "guided",
        "Guided filter: edge-preserving, in the same time for any radius.",
        "mean over windows of a I + b, where a I + b fits the picture best in each; eps keeps a small",
        "guided:8,eps=0.01",
        _guided,
        (
            Parameter(
                "radius", Number("RADIUS", minimum=1, maximum=5000, integer=True), "Radius of the windows.", None, "px"
            ),
            Parameter(
                "eps",
                Number("EPS", minimum=0, above=True),
                "Variance of a window below which it is smoothed, with white as 1.",
                "0.01",
            ),
            Parameter(
                "guide",
                Text("FILE"),
                "A picture of the same size whose edges are kept; if left out, each channel keeps its own edges.",
            ),
        ),
        ("stride", "padding_mode", "dilation", "scale", "offset", "map"),
        source="He, Sun and Tang, Guided image filtering, 2010",
    ),
    _morphology_row("tophat", "tophat", "White top hat: what an opening takes away.", "f - open(f)", _MEYER),
    _morphology_row("blackhat", "blackhat", "Black top hat: the closing minus the picture.", "close(f) - f", _MEYER),
)
