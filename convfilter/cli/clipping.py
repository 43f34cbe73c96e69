"""The note on many clipped samples, which are mostly a mistake."""

from __future__ import annotations

from collections.abc import Sequence

from convfilter.cli.request import Request

#: Share of samples that overshoots of a sharpened or differentiated photo stay below.
_MANY = 0.05
#: So small a sum, beside that of the magnitudes, is rounding.
_ZERO = 1e-9


def is_likely_a_mistake(request: Request, share: float) -> bool:
    """Whether a share of clipped samples, 0 to 1, deserves a note; ``--map`` marks it as intended."""
    return share > _MANY and not request.quiet and request.stage.get("map") is None


def line(found: Sequence[tuple[str, float]], request: Request) -> str:
    """Return the note for one file, or one note for several with their shares."""
    names = found[0][0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    up_to = "up to " if len(found) > 1 else ""
    share = max(share for _, share in found)
    return (
        f"{names}: {up_to}{share:.0%} of the samples are clipped; {_way_out(request)}, --map clip says that it is meant"
    )


def _way_out(request: Request) -> str:
    """Return a remedy for clipping; for weights that sum to 0, half of whose results are negative, another map."""
    from convfilter.filters import stack
    from convfilter.filters.stage import Correlation

    operator = stack.stages(request.specs, **request.stage)[-1].operator
    if not isinstance(operator, Correlation):
        return "--scale 1/N or --map stretch fit them in"
    matrix = operator.kernel.matrix
    if abs(float(matrix.sum())) <= _ZERO * float(abs(matrix).sum()):
        return "the weights sum to 0, and --map abs or --map offset show negative results"
    return "weights that sum to 1 (--normalize), --scale 1/N or --map stretch fit them in"
