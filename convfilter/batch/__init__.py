"""Batches: inputs, names of outputs, up-to-date checks, and worker processes."""
