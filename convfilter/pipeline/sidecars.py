"""Files beside a picture that describe it: world file, projection (``.prj``) and GDAL's metadata (``.aux.xml``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from convfilter.errors import WriteError
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.place import atomic
from convfilter.picture.place.address import is_address
from convfilter.picture.place.streams import descriptor_of, is_special
from convfilter.pipeline import gdal_metadata, world_file
from convfilter.pipeline.georeference import is_same_grid
from convfilter.record import replace

if TYPE_CHECKING:
    from convfilter.executor.masked import Masking
    from convfilter.picture.options import WriteOptions
    from convfilter.picture.outline import Outline
    from convfilter.picture.picture import Picture
    from convfilter.pipeline.job import Job


def names(picture: str) -> tuple[str, ...]:
    """Return the existing files beside a picture on which its output depends, unless ``--strip`` leaves them out."""
    if not _has_folder(picture):
        return ()
    worlds = [name for name in dict.fromkeys(world_file.names(picture)) if os.path.isfile(name)]
    others = (*([world_file.projection(picture)] if worlds else []), gdal_metadata.name_of(picture))
    return (*worlds, *filter(os.path.isfile, others))


def with_nodata(masking: Masking | None, picture: str) -> Masking | None:
    """Return the selection of ignored pixels with the nodata value that a file beside the picture names."""
    if masking is None or masking.ignore != "nodata" or not _has_folder(picture):
        return masking
    metadata = gdal_metadata.found(picture)
    return masking if metadata is None else replace(masking, nodata=metadata.nodata)


def carry(
    source: str, destination: str, picture: Picture, job: Job, options: WriteOptions
) -> tuple[Callable[[], None] | None, tuple[str, ...]]:
    """Prepare the files beside an output.

    Parameters
    ----------
    source, destination : str
        Names of the picture and of the output.
    picture : Picture
    job : Job
        With its plans.
    options : WriteOptions

    Returns
    -------
    callable, or None
        Writes the files, once the output is in place; None if there is nothing to write.
    tuple of str
        Notes.

    Raises
    ------
    WriteError
        The position or GDAL's metadata are lost, and the options do not accept that.
    """
    if options.strip:
        return None, notes_of([*_positions_before(source, destination, picture, job)], options, WriteError)
    world = gdal = None
    if _has_folder(source):
        world, gdal = world_file.found(source), gdal_metadata.found(source)
    obstacle = _obstacle(destination, job)
    losses = [*_left_out(source, destination)]
    if obstacle:
        losses += [] if gdal is None else gdal.left_out(obstacle)
        if world is not None:
            losses.append(Loss(f"the position in {os.path.basename(world.path)} is left out, since {obstacle}"))
        losses += _positions_before(source, destination, picture, job)
        return None, notes_of(losses, options, WriteError)
    files: dict[str, bytes] = {}
    if world is not None:
        files |= world.files(world.moved(job.plans[0], picture.orientation), source, destination)
    path, content = gdal_metadata.name_of(destination), b""
    if gdal is not None:
        same = _samples(picture.outline) == _samples(job.result)
        content, lost = gdal.moved(job.plans[0], picture.orientation, same_samples=same)
        losses += lost
    if content or (old := gdal_metadata.found(destination)) is None:
        files |= {path: content} if content else {}
    elif not old.is_whole:  # statistics of the samples that the output replaces
        files[path] = old.without_summaries()
    losses += _positions_before(source, destination, picture, job, has_world=world is not None, has_gdal=bool(content))
    return (partial(_write, files) if files else None), notes_of(losses, options, WriteError)


def _left_out(source: str, destination: str) -> Iterator[Loss]:
    """Yield the losses of GDAL's mask and reduced versions, which show the picture as it was, beside either file."""
    if source != destination and (name := _beside(source, ".ovr")):
        yield Loss(f"the reduced versions in {name} are left out, since they would show the picture unfiltered")
    if name := _beside(source, ".msk"):
        yield Loss(f"the mask in {name} is left out; give it as the mask to ignore its black pixels")
    if name := _beside(destination, ".ovr"):
        yield Loss(f"the reduced versions in {name} are of the picture that the output replaces; remove that file")


def _positions_before(
    source: str, destination: str, picture: Picture, job: Job, *, has_world: bool = False, has_gdal: bool = False
) -> Iterator[Loss]:
    """Yield the losses by positions beside an output of the picture that it replaces, unless the output has its own."""
    is_own = source == destination and picture.orientation == 1 and is_same_grid(job.plans[0])
    if not _has_folder(destination) or (is_own and job.form == "picture"):
        return
    places: list[str] = []
    if not has_world and (world := world_file.found(destination)):
        is_of_input = source != destination and world.path in world_file.names(source)  # in.wld is that of in.png, too
        places += [] if is_of_input else [world.path]
    if not has_gdal and (gdal := gdal_metadata.found(destination)) and gdal.has_position:
        places.append(gdal.path)
    for path in places:
        yield Loss(f"the position in {os.path.basename(path)} is not that of the output; remove that file")


def _beside(picture: str, suffix: str) -> str:
    """Return the name of an existing file beside a picture, without its folder; "" if there is none."""
    path = f"{picture}{suffix}"
    return os.path.basename(path) if _has_folder(picture) and os.path.isfile(path) else ""


def _has_folder(name: str) -> bool:
    return descriptor_of(name) is None and not is_address(name)


def _obstacle(destination: str, job: Job) -> str:
    if job.form != "picture":
        return "the output is not a picture of the same map"
    return "" if _has_folder(destination) and not is_special(destination) else "the output is not a file in a folder"


def _samples(outline: Outline) -> tuple[str, str, int | None]:
    """Return what the descriptions of bands depend on."""
    return outline.kind, outline.dtype, outline.white


def _write(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        try:
            with atomic.replacing(name, follow=False) as file:
                file.write(content)
        except WriteError as error:
            error.about(name)
            raise
