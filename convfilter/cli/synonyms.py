"""Commands and options in other programs, and their names here."""

from __future__ import annotations

from collections.abc import Mapping

#: Command lines, each with words that people type as its command.
COMMANDS = {
    "blur --gaussian SIGMA": "gaussian gauss gaussblur gaussianblur smooth soften",
    "blur --box SIZE": "box boxblur boxfilter mean average uniform",
    "edges --sobel magnitude": "sobel edge edgedetect gradient",
    "edges --scharr magnitude": "scharr",
    "edges --prewitt magnitude": "prewitt",
    "edges --roberts magnitude": "roberts",
    "edges --laplacian": "laplacian laplace",
    "edges --kirsch": "kirsch compass",
    "blur --guided RADIUS": "guided guidedfilter",
    "blur --bilateral SIGMA_SPACE,SIGMA_RANGE": "bilateral bilateralfilter surface denoise",
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
    "from LINE": "convert magick vips ffmpeg gmic scipy opencv translate",
    "--version": "version",
    "info IN": "identify header vipsheader inspect show-info metadata size",
}
#: Filters that do not exist here, since they are not weighted sums.
NO_SUMS = "nlmeans mode"

#: Options of every filter command, each with names elsewhere.
OPTIONS = {
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
#: Options of one command, which take precedence.
OPTIONS_OF: Mapping[str, Mapping[str, str]] = {
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
    "rank": {
        "--median SIZE, or --median disk:RADIUS": "--radius --disk",
        "--median SIZE": "--size --ksize --kernel-size --window --footprint -m",
        "--percentile SIZE,P": "--rank --quantile --percent",
        "convfilter morph --erode SIZE": "--min --minimum --erode",
        "convfilter morph --dilate SIZE": "--max --maximum --dilate",
    },
    "morph": {
        "--erode SIZE, --dilate SIZE, --open SIZE or --close SIZE": "--size --ksize --kernel --footprint --element",
        "disk:RADIUS as SIZE": "--disk --radius",
        "--erode": "--erosion --min --minimum",
        "--dilate": "--max --maximum",
        "--open": "--opening",
        "--close": "--closing",
        "--tophat": "--white-tophat",
        "--blackhat": "--bottomhat --black-tophat",
        "convfilter apply -f erode:SIZE -f erode:SIZE": "--iterations",
    },
    "compare": {
        "--max-difference": "--tolerance --threshold --fuzz --max-diff",
        "--min-psnr": "--psnr --metric",
        "--min-ssim": "--ssim",
        "--difference": "--output --out --diff -o",
    },
    "plan": {"--size": "--input-size --input --shape --resolution", "-f SPEC": "--spec"},
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
