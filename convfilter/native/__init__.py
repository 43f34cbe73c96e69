"""Machine code: loops compiled once per machine, kept on disk, loaded without Numba."""
