"""What to compute, as plain data: specs, the catalogue, kernels and stages."""
