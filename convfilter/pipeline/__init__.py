"""Filter one picture from file to file: ``steps.py`` has the five steps; ``job.py`` plans, runs and writes."""

from convfilter.pipeline.options import Options
from convfilter.pipeline.steps import Report, described, filter_file, with_size_check

__all__ = ["Options", "Report", "described", "filter_file", "with_size_check"]
