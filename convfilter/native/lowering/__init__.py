"""What loops are written in, as machine code: imported only to compile them."""
