"""``python -m convfilter``."""

import sys

from convfilter.cli import main

sys.exit(main())
