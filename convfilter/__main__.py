"""``python -m convfilter``."""

from convfilter.cli import program

program()
