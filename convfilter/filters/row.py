"""The type of the catalogue's rows, and the parameters that filters have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from convfilter.filters.parameters import MOST_PIXELS, AxisModes, Choice, Flag, Number, PaddingAmount, Pair, Parameter
from convfilter.filters.stage import PADDING_MODES, PADDING_WORDS, TONE_MAPS, Stage
from convfilter.record import NamedTuple

#: Largest sigma: enough for any picture, with weights of a few megabytes.
MOST_SIGMA = 10000.0

SIZE = Pair(Number("SIZE", minimum=1, maximum=MOST_PIXELS, integer=True))
STEP = Pair(Number("STEP", minimum=1, maximum=MOST_PIXELS, integer=True))
SIGMA = Pair(Number("SIGMA", minimum=0, maximum=MOST_SIGMA))

#: Parameters common to all filters: the fields of ``Stage``.
STAGE_PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("stride", STEP, "Keep every STEP-th row and column; N, or XxY.", "1", "px"),
        Parameter("dilation", STEP, "Spread the kernel, so that its taps lie STEP apart; N, or XxY.", "1", "px"),
        Parameter(
            "padding",
            PaddingAmount(PADDING_WORDS),
            "same (size kept), valid (none), full, N, XxY, or LEFT,TOP,RIGHT,BOTTOM; same_upper, same_lower: for "
            "size/stride outputs, as TensorFlow's SAME and ONNX have it.",
            "same",
            "px",
        ),
        Parameter(
            "padding_mode",
            AxisModes(PADDING_MODES),
            "Samples beyond the border; wrap,edge: wrap at left and right, edge at top and bottom.",
            "edge",
        ),
        Parameter(
            "padding_value",
            Number(or_nan=True),
            "Level beyond the border, or nan where that is ignored; sets mode constant.",
            "0",
            "sample units",
        ),
        Parameter("ceil", Flag(), "Round sizes up: a last window that begins on the picture counts.", "false"),
        Parameter("flip", Flag(), "Rotate the kernel by 180 degrees: convolution as in mathematics.", "false"),
        Parameter("scale", Number(), "Multiply the weighted sum.", "1"),
        Parameter(
            "offset",
            Number(),
            "Add a level after scale, before abs; 0.5 is mid-grey at any depth.",
            "0",
            "of full scale",
        ),
        Parameter(
            "map",
            Choice(TONE_MAPS),
            "How signed results are stored. offset: mid-grey is 0; stretch: least to largest fills the range. "
            "Default: abs for edges, else clip.",
        ),
    )
}
ALL_KEYWORDS = tuple(STAGE_PARAMETERS)
#: Common parameters of pooling, which ignores padded cells and has no weights to flip.
OF_POOLING = ("stride", "dilation", "padding", "ceil", "scale", "offset", "map")
#: Their defaults.
DEFAULTS_OF_POOLING: Mapping[str, str] = {"stride": "the window", "padding": "0"}
#: Common parameters of point operations, which have no window.
OF_POINTS = ("scale", "offset", "map")


class Filter(NamedTuple):
    """One row of the catalogue.

    Attributes
    ----------
    name : str
        Name in a SPEC.
    summary, formula : str
        One line each, for lists.
    source : str
        Source of the formula.
    example : str
        A complete SPEC.
    build : callable
        Takes the parameters by name and returns the stage, with defaults of the filter's own (the stride of pooling,
        the sign of edges), or several stages.
    parameters : tuple of Parameter
        The filter's own parameters; a SPEC may give the first without its name.
    stage_keywords : tuple of str
        Names of the ``STAGE_PARAMETERS`` that apply.
    own_defaults : mapping of str to str
        The filter's defaults of these, in words, where they differ.
    """

    name: str
    summary: str
    formula: str
    example: str
    build: Callable[..., Stage | tuple[Stage, ...]]
    parameters: tuple[Parameter, ...] = ()
    stage_keywords: tuple[str, ...] = ALL_KEYWORDS
    source: str = ""
    own_defaults: Mapping[str, str] = {}

    def parameter(self, name: str) -> Parameter | None:
        """Return one of the filter's own parameters, or a common one that applies."""
        parameters = {parameter.name: parameter for parameter in self.parameters}
        return parameters.get(name) or (STAGE_PARAMETERS[name] if name in self.stage_keywords else None)

    @property
    def stage_parameters(self) -> tuple[Parameter, ...]:
        """The common parameters that apply, with the filter's own defaults."""
        common = [STAGE_PARAMETERS[name] for name in self.stage_keywords]
        return tuple(each._replace(default=self.own_defaults.get(each.name, each.default)) for each in common)

    @property
    def form(self) -> str:
        """The SPEC with placeholders: ``gaussian:SIGMA[,truncate=NUMBER]``."""
        text = self.name
        for index, parameter in enumerate(self.parameters):
            item = parameter.kind.metavar
            item = (":" if index == 0 else f",{parameter.name}=") + item
            text += item if parameter.default is None else f"[{item}]"
        return text
