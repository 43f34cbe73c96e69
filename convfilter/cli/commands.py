"""The commands and their summaries."""

from __future__ import annotations

#: A command's own help begins with its summary. ``--help`` prints them without importing the commands, which would take
#: longer.
COMMANDS = {
    "blur": "Blur with a Gaussian, a box, or an edge-preserving filter.",
    "edges": "Find edges: gradients (Sobel and others), Laplacian, compass kernels, Canny.",
    "sharpen": "Sharpen by unsharp mask.",
    "convolve": "Filter with your own weights.",
    "pool": "Keep the largest, the smallest or the mean sample of each window.",
    "rank": "Compute the median or a percentile of each window.",
    "morph": "Erode, dilate, open or close with a footprint, or compute the differences.",
    "apply": "Run a stack of filters, first to last.",
    "try": "Try filters on a picture, with sliders, on a page in the browser.",
    "plan": "Show sizes, algorithms and cost of a stack, without running it.",
    "compare": "Measure the difference of two pictures.",
    "info": "Print the contents of a picture, and the losses of each format.",
    "formats": "List the file formats, with the sample types and metadata that each preserves.",
    "from": "Translate a command line or a call of another program into a convfilter command.",
    "kernel": "List the filters, or show the weights of one.",
    "cache": "Show, empty or fill the folder of compiled code.",
    "completion": "Print a completion script for a shell: commands, options and names.",
    "selftest": "Check the engine on this machine against float64.",
}

#: Set by the shell's completion script.
COMPLETE_VARIABLE = "_CONVFILTER_COMPLETE"
