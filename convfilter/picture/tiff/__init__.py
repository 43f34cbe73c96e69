"""TIFF: directories, pages, strips and tiles, rows."""
