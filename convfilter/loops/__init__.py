"""The loops that become machine code, one algorithm a file.

Each function is plain Python over flat pointers and sizes: no allocation, no exceptions, no validation; results go
into ``out``. The callers check everything. Run uncompiled, over flat NumPy arrays, the functions give the same
numbers, slowly; tests run them so. Where the choice of instructions matters, loops use ``vectors``.

Names of arguments: a *tile* is a block of loaded rows, a *tap* one weight of a window, a *place* a position on a padded
axis. ``pitch`` is the number of samples from one row to the next, ``cols`` counts pixels, and ``length`` counts
samples. Scratch arrays hold nothing before a call, unless the docstring says so.
"""
