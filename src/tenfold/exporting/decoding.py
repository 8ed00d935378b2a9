"""Reading pictures in TensorFlow as `images.read` does: decoded, upright, square.

JPEG and PNG. Pillow and TensorFlow decode JPEG with the same library, at the same fraction of its size where
a picture is large, and resize by the same cubic kernel; here both directions are rounded as Pillow rounds
them, one after the other. What comes out is equal, but for single steps of 255 here and there. Left out: 16
bits, of which TensorFlow takes the upper 8, and JPEG in CMYK, which the two turn into RGB differently.
"""

from typing import Any

import tensorflow as tf

from tenfold.images import Fit

_HEAD = 2**16  # bytes; EXIF stands in the first segments of a JPEG

# The entry "orientation" of EXIF in both orders of bytes, up to its value: tag 0x0112, a short, one of them.
_LITTLE = (0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00)
_BIG = (0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00)


def read(content: Any, size: int, fit: Fit) -> Any:
    """The picture of one file.

    Args:
        content: scalar string, the bytes of a JPEG or a PNG.
        size: side of the result in pixels.
        fit: as in `images.resize`.

    Returns:
        uint8 (size, size, 3).
    """
    pixels = tf.cond(tf.io.is_jpeg(content), lambda: _jpeg(content, 2 * size), lambda: _png(content))
    return _resized(pixels, size, fit)


def _jpeg(content: Any, at_least: int) -> Any:
    shape = tf.io.extract_jpeg_shape(content)
    fraction = tf.minimum(shape[0], shape[1]) // at_least
    place = tf.reduce_sum(tf.cast(fraction >= tf.constant([2, 4, 8]), tf.int32))

    def at(ratio: int) -> Any:
        return lambda: tf.io.decode_jpeg(content, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return _upright(tf.switch_case(place, [at(ratio) for ratio in (1, 2, 4, 8)]), _orientation(content))


def _png(content: Any) -> Any:
    """Transparent parts on white; grey and palettes as colour."""
    pixels = tf.cast(tf.io.decode_png(content, channels=4), tf.float32)
    clear = pixels[..., 3:] / 255
    return tf.cast(tf.floor(pixels[..., :3] * clear + 255 * (1 - clear) + 0.5), tf.uint8)


def _orientation(content: Any) -> Any:
    """The number that EXIF gives the picture's turn, 1 to 8; 1 where it gives none."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8), tf.int32)

    def after(pattern: tuple[int, ...]) -> Any:
        count = tf.maximum(tf.size(head) - len(pattern), 0)
        same = [head[at : at + count] == value for at, value in enumerate(pattern)]
        return tf.gather(head, tf.where(tf.reduce_all(same, axis=0))[:, 0] + len(pattern))

    found = tf.concat([after(_LITTLE), after(_BIG), [1]], axis=0)[0]
    return tf.where((found >= 1) & (found <= 8), found, 1)


def _upright(pixels: Any, orientation: Any) -> Any:
    """Undoes each of the eight turns by at most an exchange of the axes and two mirrors."""
    turned = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    across = tf.reduce_any(orientation == [2, 3, 6, 7])
    down = tf.reduce_any(orientation == [3, 4, 7, 8])
    turned = tf.cond(across, lambda: turned[:, ::-1], lambda: turned)
    return tf.cond(down, lambda: turned[::-1], lambda: turned)


def _resized(pixels: Any, size: int, fit: Fit) -> Any:
    """`images.resize`."""
    sides = tf.cast(tf.shape(pixels)[:2], tf.float64)
    full = tf.constant([size, size])
    shown, corner, inner = sides, tf.zeros(2, tf.float64), full
    if fit == "crop":
        shown = tf.fill([2], tf.reduce_min(sides))
        corner = (sides - shown) / 2
    elif fit == "pad":
        scale = size / tf.reduce_max(sides)
        inner = tf.maximum(1, tf.cast(tf.round(sides * scale), tf.int32))
    picture = tf.cast(pixels, tf.float32)

    def by(*axes: int) -> Any:
        scaled = picture
        for axis in axes:
            scaled = _scaled(scaled, axis, inner[axis], shown[axis], corner[axis])
        return scaled

    # What Pillow (13) does first: it saves most where a tall picture is to lose its height.
    less = sides - tf.cast(inner, tf.float64)
    picture = tf.cond((less[0] > 0) & (less[0] > 2 * less[1]), lambda: by(0, 1), lambda: by(1, 0))
    before = (full - inner) // 2
    spaces = tf.stack([before, full - inner - before], axis=1)
    picture = tf.pad(picture, tf.concat([spaces, [[0, 0]]], axis=0))
    return tf.ensure_shape(tf.cast(picture, tf.uint8), (size, size, 3))


def _scaled(picture: Any, axis: int, wanted: Any, length: Any, start: Any) -> Any:
    """`length` pixels from `start` on, along one axis, as `wanted` pixels, each rounded to a whole number."""
    factor = tf.cast(wanted, tf.float64) / length
    one = tf.constant(1.0, tf.float64)
    zero = tf.constant(0.0, tf.float64)
    kept = tf.shape(picture)[1 - axis]
    by_axis = [(wanted, factor, -start * factor), (kept, one, zero)]
    if axis == 1:
        by_axis.reverse()
    sizes, factors, moves = zip(*by_axis, strict=True)
    scaled = tf.raw_ops.ScaleAndTranslate(
        images=picture[None],
        size=tf.stack(sizes),
        scale=tf.cast(tf.stack(factors), tf.float32),
        translation=tf.cast(tf.stack(moves), tf.float32),
        kernel_type="keyscubic",
        antialias=True,
    )[0]
    return tf.clip_by_value(tf.floor(scaled + 0.5), 0, 255)
