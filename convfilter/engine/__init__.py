"""The engine: what nodes are made of, and threads that run them in bounded memory."""
