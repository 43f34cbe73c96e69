"""How the property tests search (the same examples on every run, more of them when asked), and where loops are kept.

``HYPOTHESIS_PROFILE=search pytest`` looks at many new random examples.
"""

import os
import signal

import pytest
from hypothesis import settings
from processes import start_apart

from convfilter.planning import remembered

# The first call of a loop compiles it: no deadline.
settings.register_profile("check", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=600, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))

# A shell starts what runs in the background with Ctrl-C ignored, and nohup what is to outlive a terminal with hang-ups
# ignored; programs leave it so: those under test as well.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

#: Where both are run, all loops are needed.
ALL_LOOPS = {"test_loops", "test_selftest"}
#: Tests need the first ones first; the process ends with that of the tests.
COMPILE_THE_LAST_FIRST = """if True:
    import os
    from convfilter.variants import all_variants
    for loop, types in reversed(list(all_variants())):
        os.kill({tests}, 0)
        loop.variant(**types)
"""


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory, request):
    """Compile each loop once for all tests, away from the user's own cache, unless the environment names a folder."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("CONVFILTER_CACHE_DIR"):
            patch.setenv("CONVFILTER_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # The defaults of whoever runs the tests are not theirs.
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        if {item.path.stem for item in request.session.items} >= ALL_LOOPS:
            # It takes longer than any test, so another core takes part in it.
            start_apart(COMPILE_THE_LAST_FIRST.format(tests=os.getpid()))
        yield os.environ["CONVFILTER_CACHE_DIR"]


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Let no test meet what was planned in another, which may have changed how."""
    remembered.forget()


@pytest.fixture(autouse=True)
def signals_as_before():
    """Undo what a command that a test runs in this process does to its signals."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
