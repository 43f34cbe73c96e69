"""What the header of an ICC profile says. ICC.1:2022 (profile version 4.4), section 7.2."""

from __future__ import annotations

from convfilter.picture.picture import Model

_SPACES: dict[bytes, Model] = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}


def space_of(profile: bytes) -> Model | None:
    """Return the colour model that a profile describes, None if it is another or no profile."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


def fits(profile: bytes, model: Model) -> bool:
    """Tell whether a profile is one for pictures of this model."""
    return space_of(profile) == model
