"""Compile the loops of common commands, for ``cache warm --everyday``."""

from __future__ import annotations

from collections.abc import Iterator

#: Stacks that together need all loops of the examples in the help texts, the most common first.
STACKS = (
    ("gaussian:3",),
    ("box:9",),
    ("sobel:magnitude",),
    ("unsharp:1.5,amount=0.8",),
    ("kernel:0 -1 0; -1 5 -1; 0 -1 0",),
    ("sobel:x,map=offset",),
    ("gaussian:1,stride=2",),
    ("maxpool:3,stride=2,padding=1",),
    ("avgpool:3,stride=2",),
    ("median:5",),
    ("erode:3",),
    ("open:disk:3",),
    ("gaussian:2", "sobel:magnitude,stride=2"),
    ("laplacian",),
    ("canny:1.4,0.1,0.2",),
    ("guided:8",),
    ("median:3",),
    ("median:7",),
    ("gaussian:30",),
)
#: Side of the square test pictures in pixels: large enough for the planner to choose the methods of photos.
_SIDE_PIXELS = 512
#: Grey, RGB, and RGBA.
_CHANNELS = (1, 3, 4)


def warm() -> Iterator[str]:
    """Compile loops for common filters of 8-bit pictures, by filtering small pictures; yield each finished stack.

    Raises
    ------
    OSError
        No temporary folder can be written.
    """
    from tempfile import TemporaryDirectory

    import numpy as np

    from convfilter import files
    from convfilter.pipeline import Options, filter_file

    default, grey, linear = Options([]), Options([], gray=True), Options([], linear=True)

    with TemporaryDirectory(prefix="convfilter-") as folder:
        names = [f"{folder}/{channels}.png" for channels in _CHANNELS]
        for name, channels in zip(names, _CHANNELS, strict=True):
            files.write(name, np.zeros((_SIDE_PIXELS, _SIDE_PIXELS, channels), np.uint8))
        for stack in STACKS:
            for name in names:
                filter_file(name, f"{folder}/out.png", default._replace(specs=[*stack]))
            yield " ".join(stack)
        for options, stack in ((grey, STACKS[0]), (grey, STACKS[2]), (linear, STACKS[0]), (linear, STACKS[3])):
            filter_file(names[1], f"{folder}/out.png", options._replace(specs=[*stack]))
        yield "grey and linear light"
