"""Which examples and cases run, and the cache of compiled loops.

Property tests have the same examples on every run; ``HYPOTHESIS_PROFILE=search pytest`` tries many new random ones.
A run of the whole suite samples the tests that are parametrized more than once; ``pytest --every-case`` runs all.
"""

import gc
import os
import random
import signal
import tempfile
from itertools import groupby

import pytest
from hypothesis import HealthCheck, settings

# References multiply small matrices, and two threads of OpenBLAS spin while they wait for each other: the self-test and
# the sweeps of sigma take 47 s of CPU with them, 34 s without. Programs that tests start have the threads of users.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("OPENBLAS_NUM_THREADS", "1")
    import numpy  # noqa: F401 - reads the variable once

# The first call of a loop compiles it, and other programs may stop the tests for a while: no limits of time.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("check", untimed, max_examples=12, derandomize=True)
settings.register_profile("search", untimed, max_examples=600)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))

# Shells start background jobs with SIGINT ignored, and nohup starts programs with SIGHUP ignored. The programs under
# test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


#: Least cases of a test that are run, and the share of them.
LEAST_CASES, SHARE = 8, 1 / 3


def pytest_addoption(parser):
    """Add the option that runs every case."""
    parser.addoption("--every-case", action="store_true", help="run all cases of tests parametrized more than once")


def pytest_configure(config):
    """Give all processes of this run a cache of compiled loops of their own, and no configuration of the user's."""
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist, which inherits the environment
        return
    scratch = tempfile.TemporaryDirectory(prefix="convfilter-tests-")
    config.add_cleanup(scratch.cleanup)
    os.environ.setdefault("CONVFILTER_CACHE_DIR", f"{scratch.name}/cache")
    os.environ["CONVFILTER_COMPILE_AHEAD"] = "no"
    os.environ["XDG_CONFIG_HOME"] = f"{scratch.name}/config"
    os.mkdir(f"{scratch.name}/config")  # astropy warns where it is missing
    if config.args_source is not config.ArgsSource.TESTPATHS:
        config.option.every_case = True  # of the tests that were named; pytest-xdist tells its workers
    else:
        from processes import run_python

        # The whole suite needs every loop; compiled here, on all cores, no test waits for the compiler.
        run_python("from convfilter.precompile.variants import cache_warm; list(cache_warm())", patience=900)


def pytest_collection_modifyitems(config, items):
    """Sample the cases of tests that are parametrized more than once, unless tests were named or all are asked for."""
    if config.option.every_case:
        return
    left_out = set()
    for name, group in groupby(items, lambda item: item.nodeid.split("[")[0]):
        cases = [*group]
        if len([*cases[0].iter_markers("parametrize")]) > 1:
            left_out.update(cases)
            left_out.difference_update(sampled(cases, random.Random(name)))
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def sampled(cases, rng):
    """Return some of the cases, among which are all values of each parameter; the same ones on every run."""
    known, first, others = set(), [], []
    for case in rng.sample(cases, len(cases)):
        # By identity, since arrays among them have no single truth of equality.
        values = {(name, id(value)) for name, value in case.callspec.params.items()}
        (first if values - known else others).append(case)
        known |= values
    return (first + others)[: max(len(first), LEAST_CASES, round(SHARE * len(cases)))]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect garbage once after the tests are collected; freeze their many objects, which later collections skip."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def no_cached_plans():
    """Empty the cache of plans before each test: another test may have changed how filters are planned."""
    from convfilter.planning import plan_cache

    plan_cache.forget()


@pytest.fixture(autouse=True)
def signals_as_before():
    """Restore the signal handlers of this process, which commands replace."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder; test files that need files in it override this fixture."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
