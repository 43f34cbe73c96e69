"""The sets of loops that ``cache warm`` compiles before the first picture."""
