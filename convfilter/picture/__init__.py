"""Files in, files out: pictures with all that belongs to them; knows no filters."""
