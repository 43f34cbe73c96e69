"""Machine code: loops compiled once per machine, cached on disk, loaded without Numba."""
