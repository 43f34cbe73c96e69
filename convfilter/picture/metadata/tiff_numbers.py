"""Numbers of TIFF and EXIF that several modules use: tags, field types, units, compressions, kinds of samples.

TIFF 6.0 (Adobe, 1992); BigTIFF; GeoTIFF 1.1 (OGC 19-008r4); GDAL, ImageJ and Photoshop register their own tags.
"""

# Tags.
SUBFILE_TYPE, WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
DESCRIPTION, STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTE_COUNTS = 270, 273, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR_CONFIGURATION, RESOLUTION_UNIT, SOFTWARE = 282, 283, 284, 296, 305
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675
#: Position of the picture on the earth.
PIXEL_SCALE, INTERGRAPH_MATRIX, TIE_POINTS, TRANSFORMATION, RPC = 33550, 33920, 33922, 34264, 50844
POSITION = (PIXEL_SCALE, INTERGRAPH_MATRIX, TIE_POINTS, TRANSFORMATION, RPC)
GEO_KEYS, IMAGEJ_DATA = 34735, 50839

# Types of fields.
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, LONG8 = 1, 2, 3, 4, 5, 7, 12, 16

# Units of the resolution.
NO_UNIT, INCH, CENTIMETRE = 1, 2, 3
CM_PER_INCH = 2.54

# Bits of the subfile type.
REDUCED, TRANSPARENCY_MASK = 1, 4

# Compressions.
UNCOMPRESSED, OLD_JPEG, JPEG = 1, 6, 7

# Photometric interpretations.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR = range(7)

# Kinds of extra samples; the second and third are alpha, premultiplied and straight.
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = range(3)

#: Planar configuration: the samples of a pixel lie together.
CONTIGUOUS = 1
