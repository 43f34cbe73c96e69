"""Loss of a property of the input, and its report: a note, or an error unless the user accepts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from convfilter.errors import PictureError
from convfilter.picture import formats
from convfilter.picture.format import Format
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.picture.outline import Outline

#: Largest number of formats that a message names.
_MOST_NAMED = 3
#: The part of a remedy that accepts a severe loss.
ALLOW_LOSS = "{allow_loss=True}"


class Loss(NamedTuple):
    """A property of the input that an output lacks.

    A severe loss, of pictures or of their meaning, is an error unless the user allows it. Any other loss is a note,
    since the picture looks the same.

    Attributes
    ----------
    text : str
        One line for the note or the error.
    severe : bool
    remedy : str
        Remedy of the error, as in ``ConvfilterError``.
    """

    text: str
    severe: bool = False
    remedy: str = ""


def notes_of(losses: Iterable[Loss], options: ReadOptions | WriteOptions, error: type[PictureError]) -> tuple[str, ...]:
    """Return accepted losses as notes, without repetitions; raise an error if the options do not accept one.

    Parameters
    ----------
    losses : iterable of Loss
    options : ReadOptions or WriteOptions
        ``allow_loss`` accepts severe losses too, ``strict`` none at all.
    error : type of PictureError
        Class of the error.

    Returns
    -------
    tuple of str
        One line each.

    Raises
    ------
    PictureError
        One line that names all losses that are not accepted.
    """
    distinct = tuple(dict.fromkeys(losses))
    refused = [loss for loss in distinct if options.strict or (loss.severe and not options.allow_loss)]
    if refused:
        remedies = [*(loss.remedy for loss in refused), "{strict=True} makes this an error" if options.strict else ""]
        raise error("; ".join(loss.text for loss in refused), remedy="; ".join(filter(None, dict.fromkeys(remedies))))
    return tuple(loss.text for loss in distinct)


def formats_that(stores: Callable[[Format], bool], outline: Outline | None = None) -> str:
    """List the first formats that ``stores`` accepts, and that store the model and alpha of the picture, if given."""
    names = [
        fmt.name.lower()
        for fmt in formats.FORMATS
        if stores(fmt) and (outline is None or (outline.model in fmt.models and (bool(fmt.alpha) or not outline.alpha)))
    ][:_MOST_NAMED]
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
