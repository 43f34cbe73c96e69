"""Lowering of the vector functions of loops to LLVM: imported only to compile loops."""
