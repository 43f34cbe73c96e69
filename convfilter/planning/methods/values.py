"""Operators of networks that NumPy computes: local response normalisation, softmax, indices of maxima, constants."""

from __future__ import annotations

from math import prod

from convfilter.filters.network_operators import Constant, LocalResponse, MaxIndices, Softmax
from convfilter.planning.method import Method, never

RESPONSE = Method("response", lambda _: 20.0, fits_single=never)
SOFTMAX = Method("softmax", lambda _: 10.0, fits_single=never)
INDICES = Method("indices", lambda task: 4.0 * prod(task.kernel.shape), fits_single=never)
CONSTANT = Method("constant", lambda _: 1.0, fits_single=never)


def method_of(operator: LocalResponse | Softmax | MaxIndices | Constant) -> Method:
    """Return the method of an operator."""
    if isinstance(operator, LocalResponse):
        return RESPONSE
    if isinstance(operator, Softmax):
        return SOFTMAX
    return INDICES if isinstance(operator, MaxIndices) else CONSTANT
