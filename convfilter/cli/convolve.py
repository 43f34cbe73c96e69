"""``convfilter convolve``: a filter with the user's own weights."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import parameter_option, selector

command = filter_command(
    "convolve",
    [selector("--kernel", "kernel"), parameter_option("kernel", "normalize")],
    examples="""\
convfilter convolve --kernel emboss.txt --offset 0.5 in.png out.png
convfilter convolve --kernel '1 2 1; 2 4 2; 1 2 1' --normalize in.png out.png
convfilter convolve --kernel '1/3 1/3 1/3' --stride 2x1 --padding valid in.png out.png

A kernel file is text (rows of numbers or fractions, # comments, or libvips'
header 'width height scale offset'), .json, .npy or .npz. Filters correlate, as
CNNs do; --flip gives convolution as in mathematics.""",
)
