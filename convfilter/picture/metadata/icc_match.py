"""Match the ICC profile of a file to the colour model of its picture: programs tag grey and CMYK pictures with sRGB."""

from __future__ import annotations

from convfilter.picture.loss import Loss
from convfilter.picture.metadata import icc, icc_write, transfer
from convfilter.picture.metadata.cicp import BT709_PRIMARIES, PRIMARIES
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.pixels import Model

_NAMES: dict[Model, str] = {"gray": "grey", "rgb": "RGB", "cmyk": "CMYK"}


def match(metadata: Metadata, model: Model) -> Loss | None:
    """Replace or drop a profile that describes pictures of another colour model.

    A grey picture with an RGB profile gets the grey profile of its tone curve, as its samples are the red, green and
    blue of a grey. Any other profile of another model says nothing about the samples.

    Parameters
    ----------
    metadata : Metadata
        Modified; has a profile that does not fit the model.
    model : "gray", "rgb" or "cmyk"
        Colour model of the picture.

    Returns
    -------
    Loss, or None
        The dropped profile.
    """
    profile = metadata.icc
    assert profile is not None
    metadata.icc = None
    if not icc.has_signature(profile):
        return Loss("the colour profile is damaged and is left out")
    name = icc.description(profile)
    named = f"the colour profile{f' ({name})' if name else ''}"
    described = icc.model_of(profile)
    if model == "gray" and described == "rgb":
        metadata.icc = transfer.luminance_profile(profile)
        if metadata.icc:
            return None
        return Loss(f"{named} has no single tone curve for a grey picture and is left out")
    wanted = _NAMES[described] if described else profile[16:20].decode("ascii", "replace").strip()
    return Loss(f"{named} describes {wanted} pictures, this one is {_NAMES[model]}; the profile is left out")


def of_grey_as_rgb(profile: bytes) -> bytes:
    """Return the RGB profile with the tone curve of a grey one, for formats that store grey as RGB.

    Parameters
    ----------
    profile : bytes
        ICC profile for grey.

    Returns
    -------
    bytes
        ``profile`` itself if it has no tone curve.
    """
    curve = icc.tags(profile).get(b"kTRC")
    if not curve:
        return profile
    return icc_write.matrix_profile(icc.description(profile) or "Grey", PRIMARIES[BT709_PRIMARIES], curve)
