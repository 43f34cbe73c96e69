"""The loops that become machine code, one algorithm a file.

Each function is plain Python over flat pointers and sizes: no allocation, no
exceptions, no validation; results go into ``out``. The callers in ``engine/``
check everything. Run as they stand, over flat NumPy arrays, they give the same
numbers, slowly: that is how the tests read them. Where it matters what becomes
of their sums in the processor, they are written in ``vectors``.
"""
