"""How the property tests search: the same examples on every run, more of them when asked.

``HYPOTHESIS_PROFILE=search pytest`` looks at many new random examples.
"""

import os

from hypothesis import settings

# The first call of a loop compiles it: no deadline.
settings.register_profile("check", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=600, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))
