"""The executor: rows from a source through the nodes of a plan into a sink."""
