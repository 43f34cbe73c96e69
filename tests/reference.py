"""The slow oracle: the expected result of every filter, in code written for reading.

Pictures are (rows, cols) or (rows, cols, channels). Each function computes in
the numbers it is handed: ``real(picture)`` makes float64 samples of a picture,
``exact(picture)`` whole numbers and fractions of unlimited precision, for
results that must be equal down to the last tie. ``store`` turns the real
result into stored samples; until then nothing is rounded or clipped.

Keywords are those of the public functions; pairs are (rows, cols).
"""

import math
from fractions import Fraction

import numpy as np

#: Weights across a derivative, by family.
SMOOTHING = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1)}
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])

#: A Gaussian's window ends here; its weights do not (see ``gaussian_blur``).
WINDOW_SIGMAS = 6
#: Here the Gaussian's tail, exp(-72), is below what float64 can add to a sum of one.
TAIL_SIGMAS = 12


# Numbers ------------------------------------------------------------------------------------------------------------


def real(picture):
    """The samples as float64."""
    return np.asarray(picture, dtype=np.float64)


def exact(numbers):
    """The numbers as fractions (an object array), each exactly its binary value."""
    return np.frompyfunc(Fraction, 1, 1)(numbers)


def full_scale(dtype):
    """White: 255, 65535, or 1 for floating point."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def pair(value):
    """(rows, cols) from one number for both, or from a pair."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


# Geometry -----------------------------------------------------------------------------------------------------------


def pads(padding, reach, shape=None, stride=1):
    """((top, bottom), (left, right)) for a window that reaches D*(K-1) = ``reach`` pixels past its first cell."""
    if padding in ("same_upper", "same_lower"):
        return tuple(same_by_size(padding, *numbers) for numbers in zip(shape[:2], reach, pair(stride), strict=True))
    if isinstance(padding, str):
        return tuple(
            {"same": (total // 2, total - total // 2), "valid": (0, 0), "full": (total, total)}[padding]
            for total in reach
        )
    rows, cols = pair(padding)
    return pair(rows), pair(cols)


def same_by_size(word, length, reach, stride):
    """(P_before, P_after) for ceil(I / S) outputs; an odd pad is one larger after (upper) or before (lower)."""
    total = max(0, (math.ceil(length / stride) - 1) * stride + reach + 1 - length)
    return (total // 2, total - total // 2) if word == "same_upper" else (total - total // 2, total // 2)


def output_length(length, around, window, stride, dilation, ceil=False):
    """floor((I + P_before + P_after - D*(K-1) - 1) / S) + 1, with ``around`` = (P_before, P_after).

    With ``ceil`` rounded up, but for a window that begins past the picture.
    """
    room = length + sum(around) - dilation * (window - 1) - 1
    if not ceil:
        return room // stride + 1
    outputs = math.ceil(room / stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= length + around[0] else outputs


def output_shape(shape, window, *, stride=1, dilation=1, padding="same", ceil=False, **_):
    """(rows, cols) of the result; below 1 nothing is left of the picture."""
    stride, dilation, window = pair(stride), pair(dilation), pair(window)
    around = pads(padding, [d * (k - 1) for d, k in zip(dilation, window, strict=True)], shape, stride)
    return tuple(
        output_length(shape[axis], around[axis], window[axis], stride[axis], dilation[axis], ceil) for axis in (0, 1)
    )


def extend(picture, around, mode="edge", value=0):
    """The padded picture, one axis after the other; the modes are those of ``np.pad``, one or (rows, cols)."""
    for axis, of_axis in enumerate(pair(mode)):
        widths = [(0, 0)] * picture.ndim
        widths[axis] = around[axis]
        options = {"constant_values": value} if of_axis == "constant" else {}
        picture = np.pad(picture, widths, mode=of_axis, **options)
    return picture


def windows(
    picture,
    window,
    *,
    stride=1,
    dilation=1,
    padding="same",
    padding_mode="edge",
    padding_value=0,
    ceil=False,
    centre=False,
):
    """For each cell (i, j) of the window, the array of the samples under it: in[y*S + i*D - P, x*S + j*D - P].

    With ``centre`` only the pixel at the window's centre, D*(K-1)//2 after its first cell.
    """
    rows, cols = output_shape(picture.shape, window, stride=stride, dilation=dilation, padding=padding, ceil=ceil)
    if rows < 1 or cols < 1:
        raise ValueError(f"nothing is left: {rows} x {cols}")
    (row_stride, col_stride), (row_step, col_step), (height, width) = pair(stride), pair(dilation), pair(window)
    reach = row_step * (height - 1), col_step * (width - 1)
    around = pads(padding, reach, picture.shape, stride)
    if ceil:  # beyond the padding, the border continues in the same mode
        around = tuple((before, after + max(pair(stride))) for before, after in around)
    padded = extend(picture, around, padding_mode, padding_value)

    def seen_from(row, col):
        return padded[row::row_stride, col::col_stride][:rows, :cols]

    if centre:
        yield (None, None), seen_from(reach[0] // 2, reach[1] // 2)
        return
    for i in range(height):
        for j in range(width):
            yield (i, j), seen_from(i * row_step, j * col_step)


def centre(picture, window, **geometry):
    """The picture's own sample at the centre of each window."""
    return next(windows(picture, window, centre=True, **geometry))[1]


# Filters ------------------------------------------------------------------------------------------------------------


def correlate(picture, kernel, *, flip=False, **geometry):
    """Sum over the kernel of w[i, j] * in[y*S + i*D - P, x*S + j*D - P]; ``flip`` turns the kernel by 180 degrees."""
    if flip:
        kernel = kernel[::-1, ::-1]
    return sum(kernel[i, j] * samples for (i, j), samples in windows(picture, kernel.shape, **geometry))


def box_sum(picture, size, *, flip=False, **geometry):
    """Sum of a window; a box blur is this divided by the number of cells."""
    return correlate(picture, np.ones(pair(size), dtype=int), **geometry)


def box_blur(picture, size, **geometry):
    """Mean of a window."""
    rows, cols = pair(size)
    return box_sum(picture, size, **geometry) / (rows * cols)


def gaussian_radius(sigma, truncate=None):
    """Half the window, in cells: ``scipy.ndimage``'s rule, at 6 sigma unless ``truncate`` says otherwise."""
    return int((WINDOW_SIGMAS if truncate is None else truncate) * sigma + 0.5)


def gaussian_weights(sigma, radius):
    """exp(-x**2 / (2 sigma**2)) at x = -radius..radius, divided by its sum."""
    if radius == 0 or sigma == 0:
        return np.eye(1, 2 * radius + 1, radius)[0]
    samples = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return samples / samples.sum()


def gaussian_blur(
    picture,
    sigma,
    *,
    truncate=None,
    stride=1,
    dilation=1,
    padding="same",
    padding_mode="edge",
    padding_value=0,
    flip=False,
):
    """Blur with the whole Gaussian, along the rows' axis and then along the columns'.

    The geometry is that of a window that ends at 6 sigma; the weights go on to
    12 sigma over the extended picture. With ``truncate`` they end with the window.
    """
    for axis in (0, 1):
        spread, step, every = pair(sigma)[axis], pair(dilation)[axis], pair(stride)[axis]
        radius = gaussian_radius(spread, truncate)
        tail = radius if truncate is not None else max(radius, int(TAIL_SIGMAS * spread) + 1)
        before, after = pads(padding, [step * 2 * radius] * 2)[axis]
        length = output_length(picture.shape[axis], (before, after), 2 * radius + 1, every, step)
        if length < 1:
            raise ValueError(f"nothing is left: {length}")
        beyond = step * (tail - radius)
        around = [(0, 0), (0, 0)]
        around[axis] = before + beyond, after + beyond
        lines = np.moveaxis(extend(picture, around, padding_mode, padding_value), axis, 0)
        window, weights = np.arange(2 * tail + 1) * step, gaussian_weights(spread, tail)
        of_each = np.zeros((length, len(lines)))  # a row for each output: the weights, where its window lies
        for i in range(length):
            of_each[i, i * every + window] = weights
        picture = np.moveaxis(np.tensordot(of_each, lines, 1), 0, axis)
    return picture


def gaussian_window(sigma, truncate=None):
    """Rows and columns of the Gaussian's window."""
    return tuple(2 * gaussian_radius(spread, truncate) + 1 for spread in pair(sigma))


def derivative_kernel(family, axis):
    """The lecture's kernel, signs included: for Sobel x, [+1 0 -1; +2 0 -2; +1 0 -1]; y is its transpose."""
    along_x = np.outer(SMOOTHING[family], (1, 0, -1))
    return along_x if axis == "x" else along_x.T


def gradient(picture, family, axis="magnitude", **geometry):
    """Derivative along one axis, or sqrt(gx**2 + gy**2)."""
    if axis != "magnitude":
        return correlate(picture, derivative_kernel(family, axis), **geometry)
    along_x, along_y = (correlate(picture, derivative_kernel(family, each), **geometry) for each in "xy")
    # Of whole numbers the sum of squares is exact and its float64 root is correctly rounded; between two
    # whole numbers' roots there is no tie.
    return np.sqrt((along_x**2 + along_y**2).astype(np.float64))


def smoothed_valid(plane, sigma, valid):
    """One channel before Canny's gradients, 0 where no valid pixel is within 4 sigma, and where one is."""
    sums, weights = np.where(valid, plane, 0.0), valid.astype(float)
    for length in plane.shape[::-1]:
        apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
        within = apart <= int(4 * sigma + 0.5)
        gaussian = np.exp(-0.5 * (apart / sigma) ** 2) * within if sigma else within.astype(float)
        sums, weights = (sums @ gaussian).T, (weights @ gaussian).T
    return np.divide(sums, weights, out=np.zeros(plane.shape), where=weights > 0), weights > 0


def unsharp_mask(picture, sigma, amount=1.0, threshold=0.0, *, white, truncate=None, **geometry):
    """in + amount * (in - blurred) where that difference reaches threshold * full scale, in itself elsewhere."""
    itself = centre(picture, gaussian_window(sigma, truncate), **{k: v for k, v in geometry.items() if k != "flip"})
    detail = itself - gaussian_blur(picture, sigma, truncate=truncate, **geometry)
    return np.where(np.abs(detail) >= threshold * white, itself + amount * detail, itself)


def real_cells(shape, size, *, count_padding=False, **geometry):
    """Number of each window's cells on the picture, or on padding that counts."""
    on_picture = np.ones(shape[:2], dtype=int)
    if count_padding:
        reach = [d * (k - 1) for d, k in zip(pair(geometry.get("dilation", 1)), pair(size), strict=True)]
        around = pads(geometry["padding"], reach, shape, geometry["stride"])
        on_picture = np.pad(on_picture, around, constant_values=1)
        # ``ceil`` looks at where the picture begins and ends, so windows are counted out by hand.
        rows, cols = output_shape(shape, size, **geometry)
        geometry = {
            **geometry,
            "padding": [(0, s * n + r) for s, n, r in zip(pair(geometry["stride"]), (rows, cols), reach, strict=True)],
        }
        geometry.pop("ceil", None)
        cells = windows(on_picture, size, padding_mode="constant", **geometry)
        return sum(seen[:rows, :cols] for _, seen in cells).reshape((rows, cols) + (1,) * (len(shape) - 2))
    counts = sum(cells for _, cells in windows(on_picture, size, padding_mode="constant", **geometry))
    if counts.min() == 0:
        raise ValueError("a window lies wholly on the padding")
    return counts.reshape(counts.shape + (1,) * (len(shape) - 2))


def max_pool(picture, size, stride=None, padding=0, dilation=1, ceil=False):
    """Largest sample of each window; padded cells are ignored."""
    geometry = {"stride": size if stride is None else stride, "padding": padding, "dilation": dilation, "ceil": ceil}
    real_cells(picture.shape, size, **geometry)
    cells = windows(real(picture), size, padding_mode="constant", padding_value=-np.inf, **geometry)
    return np.maximum.reduce([samples for _, samples in cells])


def average_pool(picture, size, stride=None, padding=0, dilation=1, ceil=False, count_padding=False):
    """Mean of the cells of each window that lie on the picture; padded ones count as zeros with ``count_padding``."""
    geometry = {"stride": size if stride is None else stride, "padding": padding, "dilation": dilation, "ceil": ceil}
    real_cells(picture.shape, size, **geometry)
    counts = real_cells(picture.shape, size, count_padding=count_padding, **geometry)
    return box_sum(picture, size, padding_mode="constant", padding_value=0, **geometry) / counts


def lp_pool(picture, size, p=2, stride=None, padding=0, dilation=1, ceil=False):
    """(sum of |x|**p)**(1/p) over each window; padded cells add nothing."""
    geometry = {"stride": size if stride is None else stride, "padding": padding, "dilation": dilation, "ceil": ceil}
    return box_sum(np.abs(picture) ** p, size, padding_mode="constant", padding_value=0, **geometry) ** (1 / p)


def conv_transpose(picture, weight, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Each sample adds its weights to the result: out[y*S + i*D - P] += w[i] * in[y]; padding is cut off.

    The weight is (C_in, C_out / groups, K_h, K_w); the result has (I-1)*S - P - P' + D*(K-1) + 1 + more rows.
    """
    stride, dilation, more = pair(stride), pair(dilation), pair(output_padding)
    around = pads(padding, [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)])
    rows, cols = (
        (picture.shape[axis] - 1) * stride[axis] + dilation[axis] * (weight.shape[2 + axis] - 1) + 1 + more[axis]
        for axis in (0, 1)
    )
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    whole = np.zeros((rows, cols, groups * outputs))
    for channel in range(weight.shape[0]):
        group = channel // inputs
        for out, i, j in np.ndindex(weight.shape[1:]):
            top, left = i * dilation[0], j * dilation[1]
            seen = whole[top :: stride[0], left :: stride[1], group * outputs + out]
            seen[: picture.shape[0], : picture.shape[1]] += weight[channel, out, i, j] * picture[..., channel]
    (top, bottom), (left, right) = around
    return whole[top : rows - bottom, left : cols - right]


def cells_of(window):
    """The window as a (rows, cols) array of booleans, from a side, (rows, cols), or a footprint."""
    if np.ndim(window) == 2:
        return np.asarray(window) != 0
    return np.ones(pair(window), dtype=bool)


def extreme(picture, window, largest, *, flip=False, **geometry):
    """The largest or least sample under a footprint; for the largest it is turned by 180 degrees."""
    step = -1 if flip != largest else 1
    cells = cells_of(window)[::step, ::step]
    seen = [samples for place, samples in windows(picture, cells.shape, **geometry) if cells[place]]
    return (np.maximum if largest else np.minimum).reduce(seen)


def opened(picture, window, closes=False, *, padding="same", stride=1, dilation=1, **geometry):
    """Opening (erode, then dilate) or closing; the second step pads below as much as the first pads above."""
    reach = [d * (k - 1) for d, k in zip(pair(dilation), cells_of(window).shape, strict=True)]
    around = (
        pads(padding, reach) if isinstance(padding, str) else tuple((b // 2, a - a // 2) for b, a in pads(padding, 0))
    )
    after = tuple((a, b) for b, a in around)
    if not isinstance(padding, str):
        after = tuple((b - b // 2, a // 2) for b, a in pads(padding, 0))
    first = extreme(picture, window, closes, padding=around, dilation=dilation, **geometry)
    return extreme(first, window, not closes, padding=after, stride=stride, dilation=dilation, **geometry)


def percentile(picture, window, p=0.5, *, flip=False, **geometry):
    """The sample at place p (n - 1) of the n sorted ones of each window, linear between two."""
    cells = cells_of(window)[:: -1 if flip else 1, :: -1 if flip else 1]
    seen = [samples for place, samples in windows(picture, cells.shape, **geometry) if cells[place]]
    return np.median(np.stack(seen), axis=0) if p == 0.5 else np.percentile(np.stack(seen), 100 * p, axis=0)


def valid_percentile(picture, counts, window, p=0.5, *, flip=False, padding_value=0, **geometry):
    """The percentiles of the valid pixels of each window, medians if p is 0.5, and which windows have any."""
    cells = cells_of(window)[:: -1 if flip else 1, :: -1 if flip else 1]
    seen = np.stack(
        [each for place, each in windows(picture, cells.shape, padding_value=padding_value, **geometry) if cells[place]]
    )
    votes = np.stack(
        [each for place, each in windows(counts, cells.shape, padding_value=1, **geometry) if cells[place]]
    )
    found = np.zeros(seen.shape[1:])
    for row, col, channel in np.ndindex(found.shape):
        samples = np.sort(seen[votes[:, row, col] > 0, row, col, channel].astype(np.float64))
        place = (samples.size - 1) * p
        if samples.size == 0:
            continue
        low, high, share = samples[int(place)], samples[min(int(place) + 1, samples.size - 1)], place % 1
        with np.errstate(invalid="ignore"):  # from or to infinity
            between = low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
            between = low / 2 + high / 2 if p == 0.5 else between
        between = low if share == 0 or low == high else between
        found[row, col, channel] = np.nan if np.isnan(samples[-1]) else between
    return found, votes.any(axis=0)


def bilateral(picture, sigma_space, sigma_range, radius, *, squares=False, votes=None, **geometry):
    """The mean of a disk's pixels by a Gaussian of their distance and one of how all channels differ from the centre.

    Votes, (rows, cols), multiply the weights; where the vote of the centre is 0, colours do not matter.
    """
    side = 2 * radius + 1
    ((_, middle),) = windows(picture, (side, side), centre=True, **geometry)
    at_all, around = (np.ones(picture.shape[:2]), {"padding_value": 1}) if votes is None else (votes, {})
    ((_, own),) = windows(at_all, (side, side), centre=True, **{**geometry, **around})
    sums, total = np.zeros(middle.shape), np.zeros(middle.shape[:2])
    for ((i, j), seen), (_, vote) in zip(
        windows(picture, (side, side), **geometry),
        windows(at_all, (side, side), **{**geometry, **around}),
        strict=True,
    ):
        square = (i - radius) ** 2 + (j - radius) ** 2
        if square <= radius**2:
            apart = np.abs(seen - middle)
            apart = (apart**2).sum(axis=2) if squares else apart.sum(axis=2) ** 2
            weight = vote * np.exp(-square / (2 * sigma_space**2) - (own > 0) * apart / (2 * sigma_range**2))
            sums += weight[..., np.newaxis] * seen
            total += weight
    return sums / np.where(total > 0, total, 1)[..., np.newaxis]


def guided(picture, counts, radius, eps, guide=None, *, fill=False, stride=1, **geometry):
    """The guided filter of one plane, without pixels that do not count; NaN where there is no result.

    Samples are fractions of white; ``guide`` is (rows, cols, planes). By default the picture guides itself: then an
    ignored pixel has no guide, and is filled with the mean of the means of its windows.
    """

    def sums(plane):
        return sum(seen for _, seen in windows(plane, (2 * radius + 1,) * 2, **geometry))

    number = sums(counts.astype(float))
    has_line = number > 0

    def mean(plane):
        return sums(np.where(counts, plane, 0)) / np.maximum(number, 1)

    def average(lines):
        return sums(np.where(has_line, lines, 0)) / np.maximum(sums(has_line.astype(float)), 1)

    own = picture[..., np.newaxis] if guide is None else guide
    planes, centre_of_picture = np.moveaxis(own, 2, 0), mean(picture)
    centres = np.stack([mean(plane) for plane in planes], axis=-1)
    pairs = np.stack([np.stack([mean(one * other) for other in planes], axis=-1) for one in planes], axis=-1)
    pairs += eps * np.eye(len(planes)) - centres[..., np.newaxis] * centres[..., np.newaxis, :]
    right = (
        np.stack([mean(plane * picture) for plane in planes], axis=-1) - centres * centre_of_picture[..., np.newaxis]
    )
    slopes = np.linalg.solve(pairs, right[..., np.newaxis])[..., 0]
    shift = average(centre_of_picture - (slopes * centres).sum(axis=-1))
    values = shift + sum(average(slopes[..., number]) * plane for number, plane in enumerate(planes))
    if guide is None:
        values = np.where(counts, values, average(centre_of_picture))
    there = sums(has_line.astype(float)) > 0 if fill else counts
    return np.where(there, values, np.nan)[:: pair(stride)[0], :: pair(stride)[1]]


def weighted_percentile(values, weights, p=0.5):
    """The percentile of samples with integer weights.

    Samples of equal weights count once each. Otherwise each counts as often as its weight, and the percentile is the
    sample at p times the sum of the weights, or the mean of the two there.
    """
    values, weights = values[weights > 0], weights[weights > 0]
    if values.size == 0:
        return 0.0
    if len(set(weights.tolist())) == 1:
        return np.percentile(values, 100 * p)
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    cut = p * sums[-1]
    first = min(int(np.searchsorted(sums, cut, "left")), values.size - 1)
    second = min(int(np.searchsorted(sums, cut, "right")), values.size - 1)
    return (values[order][first] + values[order][second]) / 2


# Alpha --------------------------------------------------------------------------------------------------------------


def with_alpha(picture, apply, *, white, kernel_sum=1, own_alpha=None, scale=1, offset=0, padding_value=0):
    """Filter a picture whose last channel is straight alpha; colours under alpha 0 have weight 0.

    Where all weights are 0, the sums are 0.

    Parameters
    ----------
    apply : callable
        ``apply(samples, padding_value=...)`` is the filter on plain samples.
    kernel_sum : number
        What a flat alpha of one would become; alpha is a weighted mean.
    own_alpha : callable, optional
        For kernels that sum to zero, and magnitudes: takes the place of ``apply`` for alpha, which
        passes through unfiltered.
    """
    colours, alpha = picture[..., :-1], picture[..., -1:] / white
    filtered = apply(colours * alpha, padding_value=padding_value * padding_value / white)
    covered = (own_alpha or apply)(alpha, padding_value=padding_value / white) / kernel_sum
    visible = covered > 0
    straight = np.where(visible, filtered / np.where(visible, covered, 1), 0)
    return np.concatenate([scale * straight + offset * white, covered * white], axis=-1)


# Storing ------------------------------------------------------------------------------------------------------------


def mapped(values, dtype, map="clip", alpha=False):
    """The real values of a result within its range, before they are rounded; alpha is only ever clipped."""
    if alpha:
        colours = mapped(values[..., :-1], dtype, map)
        return np.concatenate([colours, mapped(values[..., -1:], dtype)], axis=-1)
    white = full_scale(dtype)
    if map == "abs":
        values = np.abs(values)
    elif map == "offset":  # mid-grey is zero
        values = values + (Fraction(white, 2) if values.dtype == object else white / 2)
    elif map == "stretch":
        low, high = values.min(), values.max()
        values = (values - low) * white / (high - low) if high > low else values * 0
    return np.clip(values, 0, white)


def store(values, dtype, map="clip", alpha=False):
    """Stored samples: scaled and offset values mapped, rounded half to even once, and clipped."""
    inside = mapped(values, dtype, map, alpha)
    if np.issubdtype(dtype, np.floating):
        return inside.astype(dtype)
    rounded = np.frompyfunc(round, 1, 1)(inside) if inside.dtype == object else np.rint(inside)
    return rounded.astype(dtype)
