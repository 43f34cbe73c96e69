"""Many files: which they are, where they go, what is up to date, and how the work is shared out."""
