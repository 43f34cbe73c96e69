"""The note that many samples are clipped, which is usually a mistake."""

from __future__ import annotations

from collections.abc import Sequence

from convfilter.cli.request import Request

#: Share of clipped samples above which the note is given; sharpened or differentiated photos stay below it.
_MANY = 0.05
#: A sum of weights counts as 0 if it is less than this share of the sum of their magnitudes.
_ZERO = 1e-9


def is_likely_a_mistake(request: Request, share: float) -> bool:
    """Whether a share of clipped samples, 0 to 1, deserves a note; ``--map`` marks it as intended."""
    return share > _MANY and not request.quiet and request.stage.get("map") is None


def line(clipped: Sequence[tuple[str, float]], request: Request) -> str:
    """Return the note for one file, or one note for several with their shares."""
    names = clipped[0][0] + (f" and {len(clipped) - 1} more" if len(clipped) > 1 else "")
    up_to = "up to " if len(clipped) > 1 else ""
    share = max(share for _, share in clipped)
    return f"{names}: {up_to}{share:.0%} of the samples are clipped; {_remedy(request)}, --map clip accepts it"


def _remedy(request: Request) -> str:
    """Return a remedy for clipping; for weights that sum to 0, half of whose results are negative, another map."""
    from convfilter.filters import stack
    from convfilter.filters.operators import Correlation

    last = stack.stages(request.specs, **request.stage)[-1]
    operator = last.operator
    if not isinstance(operator, Correlation) or last.signed:
        return "--scale 1/N or --map stretch fit them in"
    matrix = operator.kernel.matrix
    if abs(float(matrix.sum())) <= _ZERO * float(abs(matrix).sum()):
        return "the weights sum to 0, and --map abs or --map offset show negative results"
    return "weights that sum to 1 (--normalize), --scale 1/N or --map stretch fit them in"
