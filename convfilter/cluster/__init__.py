"""Many files on many machines: a Dask scheduler hands them to its workers."""
