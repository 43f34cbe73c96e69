"""Definitions of filters as plain data: specs, the catalogue, kernels and stages."""
