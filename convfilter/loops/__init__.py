"""The loops that become machine code, one algorithm a file.

Each function is plain Python over flat pointers and sizes: no allocation, no exceptions, no validation; results go
into ``out``. The callers check everything. Run uncompiled, over flat NumPy arrays, the functions give the same
numbers, slowly; tests run them so. Where the choice of instructions matters, loops use ``vectors``.
"""
