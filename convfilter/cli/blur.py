"""``convfilter blur``: Gaussian and box blurs, and blurs that keep edges sharp."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import parameter_option, selector

command = filter_command(
    "blur",
    [
        selector("--gaussian", "gaussian"),
        parameter_option("gaussian", "truncate"),
        selector("--box", "box"),
        selector("--guided", "guided"),
        parameter_option("guided", "eps"),
        parameter_option("guided", "guide"),
        selector("--bilateral", "bilateral"),
        parameter_option("bilateral", "radius"),
        parameter_option("bilateral", "distance"),
    ],
    examples="""\
convfilter blur --gaussian 4 in.png out.png
convfilter blur --gaussian 8x0 in.jpg out.jpg            along the rows only
convfilter blur --box 5x3 --padding-mode wrap in.png out.png
convfilter blur --guided 8 in.jpg out.png                keeps edges: the guided filter
convfilter blur --guided 8 --guide photo.jpg depth.png out.png   keeps the edges of photo.jpg
convfilter blur --bilateral 3,0.1 in.jpg out.jpg         keeps edges: the mean of pixels of similar colours
convfilter blur --gaussian 2 --stride 2 in.png half.png  blurred, every second pixel""",
)
