"""PSD and PSB: the merged picture."""
