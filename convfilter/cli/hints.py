"""What people type for what has another name here, after other programs or by its own name; loaded when it is typed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from convfilter.errors import shown

#: Command lines, each with the words that people type as a command for them.
_COMMANDS = {
    "blur --gaussian SIGMA": "gaussian gauss gaussblur gaussianblur smooth soften",
    "blur --box SIZE": "box boxblur boxfilter mean average uniform",
    "edges --sobel magnitude": "sobel edge edgedetect gradient",
    "edges --scharr magnitude": "scharr",
    "edges --prewitt magnitude": "prewitt",
    "edges --roberts magnitude": "roberts",
    "edges --laplacian": "laplacian laplace",
    "edges --kirsch": "kirsch compass",
    "blur --guided RADIUS": "guided guidedfilter",
    "blur --bilateral SIGMA_SPACE,SIGMA_RANGE": "bilateral bilateralfilter surface",
    "edges --canny SIGMA,LOW,HIGH": "canny",
    "edges --robinson": "robinson",
    "edges --farid magnitude": "farid",
    "edges --frei-chen magnitude": "freichen frei",
    "sharpen": "unsharp unsharpmask usm sharp",
    "convolve --kernel FILE": "conv conv2d convolution correlate custom matrix",
    "apply -f layer:FILE": "layer",
    "apply -f convtranspose:FILE": "deconv deconvolution upsample convtranspose2d",
    "apply -f SPEC": "filter stack run process",
    "pool --max SIZE": "pooling maxpool maxpool2d maximum",
    "pool --min SIZE": "minpool minimum",
    "pool --average SIZE": "avgpool averagepool meanpool",
    "morph --dilate SIZE": "dilate dilation",
    "morph --erode SIZE": "erode erosion",
    "morph --open SIZE": "open opening morphology",
    "morph --close SIZE": "close closing",
    "morph --tophat SIZE": "tophat",
    "rank --median SIZE": "median medianblur medianfilter despeckle",
    "rank --percentile SIZE,P": "percentile quantile",
    "blur --gaussian 1 --stride 2": "resize downsample shrink thumbnail",
    "compare A B": "diff psnr ssim",
    "kernel list": "list filters kernels",
    "kernel show SPEC": "show",
    "info IN": "identify header vipsheader inspect show-info metadata size",
}
#: Filters that are no weighted sums, and so are not here.
_NO_SUMS = "nlmeans mode"

#: Options by their names here, each with other names; for every command that filters.
_OF_ALL = {
    "--output, or OUT, the last name": "--out",
    "IN, the first name": "--input -i --in",
    "--into": "--outdir --output-dir --out-dir",
    "--jobs": "--workers --processes --parallel",
    "--padding-mode": "--border --boundary --mode --edge",
    "--padding-value": "--cval --fill --border-value",
    "--padding": "--pad --pads",
    "--stride": "--step --strides --subsample",
    "--gray": "--grey --grayscale --greyscale --luminance",
    "--offset": "--bias --delta",
    "--nan": "--nodata --nan-value --fill-nan",
    "--in-place": "--inplace",
    "--overwrite": "--force --clobber --replace",
    "--no-clobber": "--skip-existing --no-overwrite --keep-existing",
    "--keep-time": "--preserve --times --preserve-time",
    "--follow": "--dereference --follow-links",
}
#: Of one command, before those of all.
_OF_ONE: Mapping[str, Mapping[str, str]] = {
    "blur": {
        "--gaussian SIGMA": "--sigma --stddev --std --gauss -s -g --amount --strength",
        "--box SIZE": "--size --ksize --kernel-size --window --mean --average -b",
        "convfilter convolve --kernel": "--kernel",
        "convfilter rank --median SIZE": "--median",
        "convfilter apply -f disk:RADIUS": "--disk",
        "convfilter apply -f motion:LENGTH": "--motion",
    },
    "edges": {
        "--sobel magnitude": "--magnitude",
        "--sobel x or --sobel y": "--x --y --axis --dx --dy --horizontal --vertical",
        "--sobel orientation": "--orientation --direction --angle",
        "--sobel, --scharr or --prewitt": "--kernel --method --operator",
        "--laplacian": "--laplace",
        "convfilter apply -f derivative:SIGMA": "--sigma",
        "convfilter apply -f sobel:magnitude -f threshold:LEVEL": "--threshold",
    },
    "sharpen": {
        "--sigma": "--radius --gaussian --stddev --std",
        "--amount": "--strength --percent --factor --gain --weight",
    },
    "convolve": {
        "--kernel": "--weights --matrix --filter -k -f",
        "--normalize": "--normalise --norm",
        "--scale 1/DIVISOR": "--div --divisor",
        "convfilter blur": "--gaussian --sigma --box",
        "convfilter edges": "--sobel --scharr --prewitt --laplacian",
    },
    "pool": {
        "--max SIZE, --min SIZE or --average SIZE": "--size --window --kernel --kernel-size",
        "--average": "--mean --avg",
        "--max": "--maximum",
        "--min": "--minimum",
    },
    "apply": {
        "-f SPEC": "--spec",
        "-f kernel:FILE": "--kernel",
        "-f gaussian:SIGMA": "--gaussian --sigma",
        "-f box:SIZE": "--box --size",
        "-f sobel:magnitude": "--sobel",
        "-f layer:FILE": "--layer",
        "@NAME before IN": "--pipeline",
    },
}


def _meaning(word: str, table: Mapping[str, str]) -> str:
    return next((meaning for meaning, words in table.items() if word in words.split()), "")


def of_command(word: str) -> str:
    """Say what to type instead of a command that there is not."""
    from convfilter.cli.commands import COMMANDS
    from convfilter.filters.catalog import FILTERS

    said = f"no command is called {shown(word)}; "
    plain = word.lower().replace("-", "").replace("_", "")
    if plain in _NO_SUMS.split():
        return f"{said}it is no weighted sum, and not here; the nearest are 'convfilter blur --gaussian 1' and 'pool'"
    meaning = _meaning(plain, _COMMANDS)
    if not meaning and plain in FILTERS:
        meaning = f"apply -f {FILTERS[plain].example}"
    if meaning:
        return f"{said}did you mean 'convfilter {meaning}'?"
    close = get_close_matches(word[:99], COMMANDS, n=1)
    return said + (f"did you mean {close[0]}? " if close else "") + f"known are {', '.join(COMMANDS)}"


def of_filter(word: str) -> str:
    """Say what to type instead of the name of a filter that there is not."""
    from convfilter.cli.messages import in_flags
    from convfilter.filters import synonyms
    from convfilter.filters.catalog import FILTERS

    close = get_close_matches(word[:99].lower(), FILTERS, n=3)
    advice = f"did you mean {' or '.join(close)}? " if close else ""
    if meant := synonyms.of_filter(word):
        advice = in_flags(meant) + ("" if meant.endswith("?") else ";") + " "
    return f"no filter is called {shown(word)}; {advice}'convfilter kernel list' shows all"


def file_among(words: Sequence[str]) -> str:
    """Return a word that looks like an option and is the name of a file: one that is there, or of a picture."""
    from convfilter.picture import formats

    for word in words:
        is_file = os.path.isfile(word) or formats.by_suffix(os.path.splitext(word)[1]) is not None
        if word.startswith("-") and "=" not in word and is_file:
            return word
    return ""


def of_option(command: str, option: str, known: list[str]) -> str:
    """Say what to type instead of an option that a command does not have."""
    name = option.partition("=")[0]
    meaning = ""
    if command in _OF_ONE:
        meaning = _meaning(name, _OF_ONE[command]) or _meaning(name, _OF_ALL)
    meaning = meaning or " or ".join(get_close_matches(name[:99], known, n=2))
    return f"no such option {shown(name)}" + (f"; did you mean {meaning}?" if meaning else "")
