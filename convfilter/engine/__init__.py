"""Arrays in, arrays out: plans are run here, on all cores, in bounded memory."""
