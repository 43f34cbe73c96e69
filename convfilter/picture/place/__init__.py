"""Inputs and outputs: paths, addresses, streams; atomic replacement of outputs."""
