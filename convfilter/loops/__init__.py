"""The loops that Numba compiles to machine code, one algorithm in each file.

Each function is plain Python over flat arrays and sizes. It allocates nothing, raises nothing and checks nothing: its
caller does. Results are written to ``out``. Tests also run the functions as plain Python over flat NumPy arrays, which
gives the same numbers, slowly. Where the choice of instructions matters, loops use ``vectors``.

Terms of the docstrings:

- A *tile* is a block of loaded rows, a *tap* is one weight of a window, and a *place* is a position on a padded axis.
- A *pitch* is the number of samples from one row to the next, or from one tap to the next (``tap_pitch``).
- A *stride* is the distance of neighbouring windows, a *dilation* that of neighbouring taps, both in places.
- ``cols`` and ``col_count`` count pixels, ``length`` counts samples. A pixel has ``channels`` samples.
- ``start`` is the index of the first sample that is written to ``out``.
- A *mask* is 1 for valid pixels and 0 for ignored ones.
- *Scratch* arrays are memory for intermediate values. Their content before a call does not matter, unless the docstring
  says otherwise.
"""
