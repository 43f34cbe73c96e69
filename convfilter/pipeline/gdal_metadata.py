"""GDAL's metadata in a file beside a picture (``in.tif.aux.xml`` beside ``in.tif``): position, nodata values, texts.

GDAL calls the format PAM, Persistent Auxiliary Metadata; ArcGIS and QGIS write it too. GDAL prefers its position to
that in a GeoTIFF or a world file. GeoTransform and GCPs count columns and rows from the corner of the first pixel, RPCs
from its centre. Statistics and histograms are of the samples as they were, so a result must not have them.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from convfilter.picture.loss import Loss
from convfilter.picture.place.source import small_content
from convfilter.pipeline.georeference import Matrix, axes, is_same_grid, moved_matrix
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from convfilter.planning import Plan

#: Largest size of such a file in bytes; histograms and tables of classes are long.
_MOST_BYTES = 1 << 22
#: Elements of a band, and beginning of the keys of metadata, that summarise the samples.
_SUMMARIES = ("Histograms", "Minimum", "Maximum", "Mean", "StandardDeviation")
_STATISTICS = "STATISTICS_"
#: Domains of metadata that describe the file, not the picture.
_OF_STORAGE = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "COLOR_PROFILE", "OVERVIEWS")
#: Elements of a band that name or colour single values of samples.
_CLASSES = ("CategoryNames", "ColorTable", "GDALRasterAttributeTable")
#: Elements of a picture that are moved, or true of any grid of pixels.
_MOVABLE = ("SRS", "GeoTransform", "GCPList", "PAMRasterBand")
_RPC = "RPC"
_POSITIONS = ("GeoTransform", "GCPList", f"Metadata[@domain='{_RPC}']")
_CENTRES: Matrix = ((1, 0, 0), (0, 1, 0))


class GdalMetadata(NamedTuple):
    """GDAL's metadata beside a picture, without summaries of its samples.

    Attributes
    ----------
    path : str
    content : bytes
        Of the file.
    root : Element, or None
        None if the file is damaged, too large or unreadable.
    is_whole : bool
        Whether the file has no summaries.
    """

    path: str
    content: bytes
    root: Element | None
    is_whole: bool

    @property
    def nodata(self) -> float | None:
        """The value that marks missing samples; None if bands name none, several or no number."""
        elements = [] if self.root is None else self.root.findall("PAMRasterBand/NoDataValue")
        try:
            values = set(map(float, {element.text or "" for element in elements}))
        except ValueError:
            return None
        return values.pop() if len(values) == 1 else None

    @property
    def has_position(self) -> bool:
        """Whether the metadata say where pixels are."""
        return self.root is not None and any(self.root.find(each) is not None for each in _POSITIONS)

    def left_out(self, why: str) -> list[Loss]:
        """Return the loss of all metadata."""
        if self.root is not None and not len(self.root):
            return []
        return [Loss(f"GDAL's metadata in {os.path.basename(self.path)} are left out, since {why}")]

    def without_summaries(self) -> bytes:
        """Return the content without summaries of the samples."""
        return self.content if self.is_whole or self.root is None else _xml(self.root)

    def moved(self, plan: Plan, orientation: int, *, same_samples: bool) -> tuple[bytes, list[Loss]]:
        """Return the content for the result of a plan; empty if there is nothing to say.

        Parameters
        ----------
        plan : Plan
        orientation : int
            EXIF orientation by which the picture was turned before it was filtered; 1 for none.
        same_samples : bool
            Whether channels and sample type are those of the picture.

        Returns
        -------
        bytes
        list of Loss
        """
        if self.root is None:
            return b"", self.left_out("they cannot be read")
        lost: dict[str, str] = {}
        _drop_classes(self.root, lost, same_samples=same_samples)
        if orientation != 1 or not is_same_grid(plan):
            _drop_unplaced(self.root, orientation, lost)
            matrix = moved_matrix(_CENTRES, plan, orientation)
            _move_corners(self.root, _of_corners(matrix), lost)
            _move_rpc(self.root, plan, lost)
        elif self.is_whole and not lost:
            return self.content, []
        name = os.path.basename(self.path)
        losses = [Loss(f"{what} in {name} are left out, since {why}") for what, why in lost.items()]
        _prune(self.root)
        return _xml(self.root) if len(self.root) else b"", losses


def name_of(picture: str) -> str:
    """Return the name of the file with GDAL's metadata of a picture."""
    return f"{picture}.aux.xml"


def found(picture: str) -> GdalMetadata | None:
    """Return GDAL's metadata beside a picture in a file; None if there are none."""
    path = name_of(picture)
    if not os.path.isfile(path):
        return None
    content = small_content(path, _MOST_BYTES)
    root = _parsed(content)
    return GdalMetadata(path, content, root, root is None or not _drop_summaries(root))


def _parsed(content: bytes) -> Element | None:
    """Return the root of a file with GDAL's metadata; None if it is none. Entities, which can explode, are refused."""
    from xml.etree.ElementTree import TreeBuilder
    from xml.parsers import expat

    if b"<!" in content.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        return None
    tree = TreeBuilder()
    # Without namespaces: ElementTree would rename prefixes, but not those in values, such as ArcGIS' xsi:type.
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = tree.start, tree.end
    parser.CharacterDataHandler = tree.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError):
        return None
    root = tree.close()
    return root if root.tag == "PAMDataset" else None


def _xml(root: Element) -> bytes:
    from xml.etree import ElementTree

    ElementTree.indent(root)
    return f"{ElementTree.tostring(root, 'unicode')}\n".encode()


def _drop_summaries(root: Element) -> bool:
    """Remove statistics, histograms and descriptions of the file; return whether there were any."""
    false = [
        (parent, child)
        for parent in root.iter()
        for child in parent
        if (parent.tag == "PAMRasterBand" and child.tag in _SUMMARIES)
        or (child.tag == "MDI" and child.get("key", "").startswith(_STATISTICS))
        or (child.tag == "Metadata" and child.get("domain") in _OF_STORAGE)
    ]
    for parent, child in false:
        parent.remove(child)
    _prune(root)
    return bool(false)


def _prune(root: Element) -> None:
    """Remove elements of metadata and bands that are empty."""
    for parent in (*root.findall("PAMRasterBand"), root):
        for child in list(parent):
            if child.tag in ("Metadata", "PAMRasterBand") and not len(child) and not (child.text or "").strip():
                parent.remove(child)


def _drop_classes(root: Element, lost: dict[str, str], *, same_samples: bool) -> None:
    """Remove what is false of filtered samples: names and colours of values, and all of bands of another kind."""
    for band in root.findall("PAMRasterBand"):
        if not same_samples:
            root.remove(band)
            lost["the descriptions of bands"] = "channels or sample type have changed"
            continue
        for child in list(band):
            if child.tag in _CLASSES:
                band.remove(child)
                lost["the tables of classes"] = "filtered samples have other values"


def _drop_unplaced(root: Element, orientation: int, lost: dict[str, str]) -> None:
    """Remove what may depend on the grid of pixels, and cannot be moved."""
    for child in list(root):
        domain = child.get("domain", "")
        if child.tag == "Metadata":
            is_kept = not domain or (domain == _RPC and orientation == 1)
        else:
            is_kept = child.tag in _MOVABLE
        if not is_kept:
            root.remove(child)
            lost[f"the metadata {domain or child.tag}"] = "the grid of pixels has changed"


def _of_corners(matrix: Matrix) -> Matrix:
    """Return a map between positions of centres for positions that count from the corner of the first pixel."""
    (a, b, c), (d, e, f) = matrix
    return (a, b, c + 0.5 - 0.5 * (a + b)), (d, e, f + 0.5 - 0.5 * (d + e))


def _move_corners(root: Element, matrix: Matrix, lost: dict[str, str]) -> None:
    """Move GeoTransform and GCPs; ``matrix`` maps corners of the result to corners of the picture."""
    (a, b, c), (d, e, f) = matrix
    determinant = a * e - b * d
    for element in root.findall("GeoTransform"):
        values = _numbers((element.text or "").split(","), 6)
        if values is None:
            root.remove(element)
            lost["the metadata GeoTransform"] = "they are not six numbers"
            continue
        rows = (values[:3], values[3:])
        moved = [(by_x * c + by_y * f + at, by_x * a + by_y * d, by_x * b + by_y * e) for at, by_x, by_y in rows]
        element.text = ", ".join(f"{value + 0.0!r}" for row in moved for value in row)
    for gcps in root.findall("GCPList"):
        for gcp in gcps.findall("GCP"):
            place = _numbers((gcp.get("Pixel", ""), gcp.get("Line", "")), 2)
            if place is None:
                gcps.remove(gcp)
                lost["some ground control points"] = "they have no column and row"
                continue
            x, y = place[0] - c, place[1] - f
            gcp.set("Pixel", repr((e * x - b * y) / determinant))
            gcp.set("Line", repr((a * y - d * x) / determinant))


def _move_rpc(root: Element, plan: Plan, lost: dict[str, str]) -> None:
    """Move the offsets and scales of rational polynomial coefficients."""
    for element in root.findall(f"Metadata[@domain='{_RPC}']"):
        items = {item.get("key"): item for item in element.findall("MDI")}
        for axis, prefix in zip(axes(plan), ("LINE", "SAMP"), strict=True):
            offset, scale = items.get(f"{prefix}_OFF"), items.get(f"{prefix}_SCALE")
            values = None
            if offset is not None and scale is not None:
                values = _numbers((offset.text or "", scale.text or ""), 2)
            if values is None or offset is None or scale is None:
                root.remove(element)
                lost["the metadata RPC"] = "they have no offsets and scales"
                break
            offset.text, scale.text = repr((values[0] - axis.start) / axis.jump), repr(values[1] / axis.jump)


def _numbers(texts: list[str] | tuple[str, ...], count: int) -> list[float] | None:
    """Return finite numbers; None if they are others, or not ``count``."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None
