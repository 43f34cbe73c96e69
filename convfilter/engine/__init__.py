"""The engine: the components of nodes, and threads that run nodes in bounded memory."""
