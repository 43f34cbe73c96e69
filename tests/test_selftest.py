from collections import defaultdict
from itertools import count, product
from typing import get_args

import numpy as np
import pictures
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from convfilter import api
from convfilter.cli import selftest as command
from convfilter.cli.root import run
from convfilter.native.loop import Loop
from convfilter.planning import Algorithm
from convfilter.precompile.variants import all_variants
from convfilter.selftest import findings
from convfilter.selftest.findings import selftest
from convfilter.selftest.methods import JOBS
from convfilter.selftest.reference import gaussian, largest, weighted_sums, with_border

#: Methods that refuse real samples, and methods whose weights are never whole.
NO_REALS, NO_WHOLE, NO_ALPHA = ("box",), ("multirate", "join", "mask", "bilateral", "guided"), ("fourier",)
#: Methods for bytes alone, those whose results are samples, and those for no sample type that needs float64.
BYTES, ALL_WHOLE, NARROW = (
    ("histograms",),
    ("morphology", "compass", "canny", "png", "jpeg"),
    ("box", "multirate", "histograms"),
)
#: Methods whose arithmetic beyond that of other methods is NumPy's.
BY_NUMPY = {"orientation", "response", "softmax", "indices", "constant"}
#: Methods whose results are of the picture's type alone.
KEPT = ("png", "jpeg")
WIDE = ("int16", "uint32", "float64")


@pytest.fixture(scope="module")
def observed():
    """Run the whole self-test once; return the findings, and which loops ran with which types."""
    called = set()
    variant = Loop.variant

    def watched(self, **types):
        called.add((self, tuple(types.items())))
        return variant(self, **types)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "variant", watched)
        found = list(selftest())
    return found, {(loop.function, loop.codes(**dict(types))) for loop, types in called}


def test_every_promise_is_kept_here(observed):
    found, _ = observed
    assert [finding for finding in found if not finding.passed] == []


def test_every_method_has_jobs():
    methods = {name for names in get_args(Algorithm) for name in get_args(names)}
    assert {*JOBS, *BY_NUMPY} == methods | {"mask", "png", "jpeg"}


def test_every_method_is_checked_with_every_sample_type(observed):
    found, _ = observed
    checked = {(finding.algorithm, finding.dtype, finding.result, finding.sums) for finding in found}
    wanted = {
        (algorithm, dtype, result, sums)
        for algorithm in JOBS
        for dtype in pictures.DTYPES
        for result, sums in ((dtype, "whole"), (dtype, "real"), ("float32", "any"))
        if (result == "float32") == (sums == "any")
        and not (dtype == "float32" and algorithm in NO_REALS)
        and not (dtype != "uint8" and algorithm in BYTES)
        and not (sums == "whole" and algorithm in NO_WHOLE)
        and not (sums == "real" and algorithm in ALL_WHOLE)
        and not (result != dtype and algorithm in KEPT)
    }
    wanted |= {
        (algorithm, dtype, result, sums)
        for algorithm, sums in product(("pooling", "points"), ("whole", "real"))
        for dtype, result in product(pictures.INTEGERS, repeat=2)
    }
    wanted |= {(name, "float32", result, "real") for name in ("pooling", "points") for result in pictures.INTEGERS}
    wanted |= {("multirate", dtype, "uint8", "real") for dtype in ("uint16", "float32")}
    wanted |= {
        (algorithm, dtype, "float64", "any")
        for algorithm, dtype in product(JOBS, WIDE)
        if algorithm not in (*NARROW, "lowrank")
        and (
            dtype == "float64" or algorithm not in KEPT
        )  # of whole weights alone: float64 shows what other products leave out
    }
    wide = {finding for finding in checked if finding[1] in ("int16", "uint32") and finding[2] != "float64"}
    assert {(algorithm, dtype) for algorithm, dtype, _, _ in wide} == {
        (algorithm, dtype) for algorithm in JOBS for dtype in ("int16", "uint32") if algorithm not in NARROW
    }
    assert checked - wide == wanted
    assert len(found) == len(checked)
    assert min(finding.samples for finding in found) > 3000


def test_every_loop_of_a_filter_is_checked_in_every_variant(observed):
    _, called = observed
    compiled = {(loop.function, loop.codes(**types)) for loop, types in all_variants()}
    assert compiled - called == set()


def one_off(result, by):
    return off(result, slice(7, 8), by)


def often_off(result):
    return off(result, slice(None, None, 11), 1)


def off(result, where, by):
    """Move samples away from the next end of their range."""
    values = result.astype(np.float64)
    values.flat[where] += np.where(values.flat[where] < 100, by, -by)
    return values.astype(result.dtype)


@pytest.fixture(scope="module")
def recorded():
    """Recorded results of the filters and the oracle: every self-test calls them in the same order."""
    return defaultdict(list)


def played(record, function):
    """Wrap ``function``: call number n returns result number n of ``record``, and computes it only once."""
    calls = count()

    def answer(*arguments, **keywords):
        call = next(calls)
        if call == len(record):
            record.append(function(*arguments, **keywords))
        return record[call]

    return answer


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        (lambda result: result, set()),
        (lambda result: one_off(result, 1), {"whole", "real", "any"}),
        (lambda result: one_off(result, 2), {"whole", "real", "any"}),
        (often_off, {"whole", "real", "any"}),
        (lambda result: result * (1 + 4e-6) if result.dtype.kind == "f" else result, {"any"}),
        (
            lambda result: np.where(result == result.max(), np.nan, result) if result.dtype.kind == "f" else result,
            {"any"},
        ),
        (lambda result: result[::-1].copy(), {"whole", "real", "any"}),
    ],
    ids=["none", "one off by 1", "one off by 2", "many off by 1", "a few ulps", "nan", "upside down"],
)
def test_a_fault_is_found(monkeypatch, recorded, fault, broken):
    for home, name in ((api, "sobel"), (api, "scharr"), (api, "prewitt"), (api, "apply"), (findings, "_expected")):
        monkeypatch.setattr(home, name, played(recorded[name], getattr(home, name)))
    sobel = api.sobel
    monkeypatch.setattr(api, "sobel", lambda *arguments, **keywords: fault(sobel(*arguments, **keywords)))
    found = list(selftest(["gradient"]))
    assert {finding.sums for finding in found if not finding.passed} == broken


def test_the_command_prints_what_it_found(monkeypatch, capfd):
    monkeypatch.setattr(findings.selftest, "__defaults__", (("histograms",),))
    assert run(["selftest"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["method", "picture", "result", "sums", "measured", "promised"]
    assert lines[1].split()[:4] == ["histograms", "uint8", "uint8", "whole"]
    assert all(line.endswith("kept") for line in lines[1:-1])
    count = len(lines) - 2
    assert lines[-1].startswith(f"{count} of {count} promises kept on this processor (")


def test_the_command_fails_where_a_promise_is_broken(monkeypatch, capfd):
    kept = findings.Finding("direct", "uint8", "uint8", "real", 9, "99.90% equal, 0.5001 off", "0.501", True)
    broken = findings.Finding("box", "uint8", "uint8", "whole", 9, "90.00% equal, 1.2000 off", "100 %", False)
    monkeypatch.setattr(findings, "selftest", lambda: iter([kept, broken]))
    assert run(["selftest"]) == 1
    out = capfd.readouterr().out
    assert [line.split()[-1] for line in out.splitlines()[1:3]] == ["kept", "BROKEN"]
    assert "1 of 2 promises kept" in out


def test_no_line_is_wider_than_a_terminal(observed):
    found, _ = observed
    for finding in found:
        what = (finding.algorithm, finding.dtype, finding.result, finding.sums, finding.measured, finding.promised)
        assert len(command._line(*what, "BROKEN")) <= 80


# The oracle ----------------------------------------------------------------------


@given(pictures.cases(dtypes=("uint8", "uint16")), pictures.pairs(st.integers(1, 7)), st.integers(0, 99))
def test_its_sums_are_the_sums_of_the_oracle(case, size, seed):
    image, geometry = case
    if geometry.pop("flip", False) or min(reference.output_shape(image.shape, size, **geometry)) < 1:
        return
    kernel = pictures.whole(np.random.default_rng(seed), reference.pair(size)).astype(np.float64)
    samples = with_border(image, geometry.get("padding_value", 0))
    expected = np.atleast_3d(reference.correlate(reference.real(image), kernel, **geometry))
    assert np.array_equal(weighted_sums(samples, kernel, geometry), expected)
    factors = kernel[:, 0], kernel[0]
    expected = np.atleast_3d(reference.correlate(reference.real(image), np.outer(*factors), **geometry))
    assert np.array_equal(weighted_sums(samples, factors, geometry), expected)


@given(pictures.cases(), pictures.pairs(st.integers(1, 5)))
def test_its_maxima_are_the_maxima_of_the_oracle(case, size):
    image, geometry = case
    geometry = {name: geometry[name] for name in ("stride", "dilation", "padding") if name in geometry}
    if min(reference.output_shape(image.shape, size, **geometry)) < 1:
        return
    samples = with_border(image, -np.inf)
    got = largest(samples, reference.pair(size), {**geometry, "padding_mode": "constant"})
    seen = reference.windows(reference.real(image), size, padding_mode="constant", padding_value=-np.inf, **geometry)
    assert np.array_equal(got, np.atleast_3d(np.max([samples for _, samples in seen], axis=0)))


@pytest.mark.parametrize("sigma", [0, 0.1, 0.7, 3, 40])
def test_the_gaussian_of_the_self_test_is_the_formula(sigma):
    weights = gaussian(sigma)
    reach = weights.size // 2
    expected = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2) if sigma else np.ones(1)
    assert weights == pytest.approx(expected / expected.sum(), abs=1e-15)
    assert sigma == 0 or expected[0] < 1e-12 or reach == 1
