"""The note on many clipped samples, which are mostly a mistake."""

from __future__ import annotations

from collections.abc import Sequence

from convfilter.cli.request import Request

#: Share of samples that overshoots of a sharpened or differentiated photo stay below.
_MANY = 0.05


def is_likely_a_mistake(request: Request, share: float) -> bool:
    """Whether a share of clipped samples, 0 to 1, deserves a note; ``--map`` marks it as intended."""
    return share > _MANY and not request.quiet and request.stage.get("map") is None


def line(found: Sequence[tuple[str, float]]) -> str:
    """Return the note for one file, or one note for several with their shares."""
    names = found[0][0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    up_to = "up to " if len(found) > 1 else ""
    return (
        f"{names}: {up_to}{max(share for _, share in found):.0%} of the samples are clipped; weights that sum to 1 "
        "(--normalize), --scale 1/N or --map stretch fit them in, --map clip says that it is meant"
    )
