"""Self-test of the engine as compiled for this machine."""
