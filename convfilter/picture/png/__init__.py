"""PNG: chunks, samples, rows, animations."""
