"""Read and write picture files with all their metadata; knows no filters."""
