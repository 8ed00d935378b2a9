"""Weights for 8-bit integers, rounded so that their errors cancel."""

import numpy as np

STEPS = 127
"""Integers on either side of 0."""


def evened(kernel: np.ndarray) -> np.ndarray:
    """Rounds weights to `STEPS` steps of each filter's largest, with the sums of their errors next to 0.

    What a convolution sees is positive and changes little from one pixel to the next, so errors of one sign
    add up to a shift of all that the filter gives, and those of both signs cancel. As few weights as possible
    are therefore rounded the other way, those nearest the middle first: within the window of each channel
    until the sum of its errors is half a step or less, then over the channels. Source: C. Guo et al.,
    "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation", arXiv:2202.07471.

    Args:
        kernel: (filters, channels, places of the window).

    Returns:
        float32 of the same shape. Who rounds it to as many steps rounds nothing more.
    """
    scale = np.abs(kernel).max(axis=(1, 2), keepdims=True) / STEPS
    exact = kernel.astype(np.float64) / np.where(scale > 0, scale, 1)
    whole = np.rint(exact)
    error = exact - whole

    _turn(whole, error)
    # One weight of each channel may still turn: the one that is nearest to it.
    sign = np.sign(error.sum(axis=(1, 2)))[:, None]
    nearest = (sign[..., None] * error).argmax(axis=2)[..., None]
    some_whole, some_error = (np.take_along_axis(part, nearest, axis=2)[..., 0] for part in (whole, error))
    rest = error.sum(axis=(1, 2)) - some_error.sum(axis=1)
    _turn(some_whole, some_error, rest)
    np.put_along_axis(whole, nearest, some_whole[..., None], axis=2)
    return (np.clip(whole, -STEPS, STEPS) * scale).astype(np.float32)


def _turn(whole: np.ndarray, error: np.ndarray, more: np.ndarray | float = 0.0) -> None:
    """Rounds as many of the last axis the other way as bring the sum of errors and `more` to 0, in place."""
    total = error.sum(axis=-1) + more
    sign = np.sign(total)[..., None]
    rank = (-sign * error).argsort(axis=-1).argsort(axis=-1)
    step = sign * (rank < np.rint(np.abs(total))[..., None])
    whole += step
    error -= step
