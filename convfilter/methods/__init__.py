"""The methods: one file for each way to compute a stage, as nodes (``engine/node.py``).

``planning/methods/`` declares the same methods, in files of the same names: what each can compute, and at what cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convfilter.engine.node import Node, StageSetup


def nodes_of(stage: StageSetup) -> list[Node]:
    """Return the nodes that compute a stage; only the module of its method is imported."""
    match stage.plan.algorithm:
        case "direct" | "separable" | "lowrank" | "gradient":
            from convfilter.methods.stencil import nodes
        case "box":
            from convfilter.methods.box import nodes
        case "multirate":
            from convfilter.methods.multirate import nodes
        case "fourier":
            from convfilter.methods.fourier import nodes
        case "pooling":
            from convfilter.methods.extremes import nodes
        case "network" | "histograms" | "sliding":
            from convfilter.methods.rank import nodes
        case "morphology":
            from convfilter.methods.morphology import nodes
        case "points":
            from convfilter.methods.pointwise import nodes
        case "layer":
            from convfilter.methods.layer import nodes
        case "guided":
            from convfilter.methods.guided import nodes
        case "bilateral":
            from convfilter.methods.bilateral import nodes
        case "canny":
            from convfilter.methods.canny import nodes
        case "response" | "softmax" | "indices" | "constant":
            from convfilter.methods.values import nodes
        case "compass":
            from convfilter.methods import compass

            return compass.nodes(stage, nodes_of)
        case "join":
            from convfilter.methods import join

            return join.nodes(stage, nodes_of)
        case "orientation":
            from convfilter.methods import orientation

            return orientation.nodes(stage, nodes_of)
    return nodes(stage)
