"""Where files come from and go: paths, addresses, streams; outputs appear whole or not at all."""
