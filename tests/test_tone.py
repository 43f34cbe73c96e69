"""The tone of a stage: which values are clipped, worked out by hand."""

import numpy as np

from convfilter.engine.tone import Tone


def test_values_that_round_below_black_or_above_white_are_clipped():
    # 2 * (s / 4) + 1.5: -4 gives -0.5, -5 gives -1, 506 gives 254.5, 507 gives 255, 508 gives 255.5, -513 gives -255
    sums = np.array([-5.0, -4, 506, 507, 508])
    assert Tone(2.0, 4.0, 1.5, False).clips(sums, 255).tolist() == [True, False, False, False, True]
    assert Tone(2.0, 4.0, 1.5, True).clips(sums, 255).tolist() == [False, False, False, False, True]
    assert Tone(2.0, 4.0, 1.5, True).clips(np.array([-513.0, -514]), 255).tolist() == [False, True]
