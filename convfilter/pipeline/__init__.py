"""One picture, from file to file: ``steps.py`` holds the five steps, ``job.py`` what they do with one picture."""

from convfilter.pipeline.options import Options
from convfilter.pipeline.steps import Report, described, filter_file, judging

__all__ = ["Options", "Report", "described", "filter_file", "judging"]
