"""Reader of PSD and PSB: the picture merged from the layers."""
