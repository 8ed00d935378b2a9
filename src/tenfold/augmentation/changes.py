"""What happens to the pictures of a batch, and its doing on NumPy's arrays."""

from dataclasses import dataclass

import numpy as np

from tenfold import pixels


@dataclass(frozen=True)
class Changes:
    """What happens to the n pictures of a batch, in this order; None where nothing does.

    Small beside the pictures: it alone travels where those live on an accelerator (`device.Pictures`).

    Attributes:
        mirrored: bool (n,), the pictures whose left and right are exchanged.
        upended: bool (n,), the pictures whose top and bottom are.
        corner: int32 (2, n), the row and column at which the new picture begins in the old one; what lies
            outside of that is its mirror image.
        maps: float32 (n, 2, 3), the affine map from a place (x, y, 1) in the new picture to the place in the
            old one that is seen there; a picture reaches from -1 to 1, its edge fills what lies beyond.
        tones: float32 (2, k, n), k operations on each picture's values, one after the other: their places in
            `pixels.TONES`, and their strengths.
        colour: float32 (n,), how much colour is left: 0 is grey, 1 the picture, 2 twice the colour.
        sharpness: float32 (n,), 0 is smoothed, 1 the picture, 2 as much sharper.
        chain_maps: float32 (c, n, 2, 3), maps as above, one for each of c chains of operations that start
            from the picture as it is by now.
        chain_tones: float32 (c, 2, k, n), as `tones`, before the maps.
        chain_weights: float32 (c + 1, n), the shares that the picture itself and then its chains have in
            the mixture that takes its place; they sum to 1.
        amount: int16 (n,), added to all pixels, -255 to 255.
        hidden: int32 (4, n), the first row, the row behind the last, and the same two columns of the square
            that turns grey; it may reach beyond the picture.
        erased: int32 (4, n), another rectangle that does.
        partner: int32 (n,), the picture of the batch that each is mixed with, all changes above done.
        share: float32 (n,), what each keeps of itself and of its label, 0 to 1; the partner's is the rest.
        pasted: int32 (4, n), the rectangle that comes from the partner; None where all pixels are blended, in
            steps of 1/256.
    """

    mirrored: np.ndarray | None = None
    upended: np.ndarray | None = None
    corner: np.ndarray | None = None
    maps: np.ndarray | None = None
    tones: np.ndarray | None = None
    colour: np.ndarray | None = None
    sharpness: np.ndarray | None = None
    chain_maps: np.ndarray | None = None
    chain_tones: np.ndarray | None = None
    chain_weights: np.ndarray | None = None
    amount: np.ndarray | None = None
    hidden: np.ndarray | None = None
    erased: np.ndarray | None = None
    partner: np.ndarray | None = None
    share: np.ndarray | None = None
    pasted: np.ndarray | None = None


def apply(images: np.ndarray, changes: Changes) -> np.ndarray:
    """Pictures as `changes` leave them.

    Args:
        images: uint8, (n, height, width, 3).

    Returns:
        uint8, (n, height, width, 3); `images` itself where nothing changes.
    """
    if changes.mirrored is not None:
        images = np.where(changes.mirrored[:, None, None, None], images[:, :, ::-1], images)
    if changes.upended is not None:
        images = np.where(changes.upended[:, None, None, None], images[:, ::-1], images)
    if changes.corner is not None:
        images = _crop(images, changes.corner)
    images = _retouch(images, changes)
    if changes.amount is not None:
        lighter = images.astype(np.int16) + changes.amount[:, None, None, None]
        images = np.clip(lighter, 0, 255).astype(np.uint8)
    for blank in (changes.hidden, changes.erased):
        if blank is not None:
            images = np.where(_inside(images, blank), np.uint8(pixels.GREY), images)
    if changes.partner is not None and changes.share is not None:
        images = _mix(images, changes.partner, changes.share, changes.pasted)
    return images


def mix(values: np.ndarray, changes: Changes) -> np.ndarray:
    """What belongs to pictures, mixed as `changes` mix the pictures themselves.

    Args:
        values: float32 (n, ...): labels as shares of classes, or weights.

    Returns:
        float32, of the same shape; `values` itself where no pictures are mixed.
    """
    if changes.partner is None or changes.share is None:
        return values
    share = changes.share.reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[changes.partner]


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Pictures brought to `side` by `side` pixels, every old pixel taking part (antialiased bilinear).

    Learning from small pictures first and full ones later is progressive resizing, as fast.ai's entry to
    DAWNBench did it (2018): a step costs as much as the picture has pixels, and what it teaches carries over.

    Args:
        images: uint8, (n, height, width, 3).
        side: new height and width.
    """
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(planes, (side, side), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())


def _crop(images: np.ndarray, corner: np.ndarray) -> np.ndarray:
    n, height, width, _ = images.shape
    reach = int(np.abs(corner).max(initial=0))
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = corner + reach
    return np.ascontiguousarray(windows[np.arange(n), top, left].transpose(0, 2, 3, 1))


def _retouch(images: np.ndarray, changes: Changes) -> np.ndarray:
    asked = {name: getattr(changes, name) for name in pixels.RETOUCHES}
    given = {name: array for name, array in asked.items() if array is not None}
    if not given:
        return images
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    return pixels.retouch(torch.from_numpy(np.ascontiguousarray(images)), **tensors).numpy()


def _inside(images: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    """Which pixels lie in rectangles (4, n) as `Changes.hidden` holds them: bool (n, height, width, 1)."""
    top, bottom, left, right = rectangles[:, :, None]
    row, column = np.arange(images.shape[1]), np.arange(images.shape[2])
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _mix(images: np.ndarray, partner: np.ndarray, share: np.ndarray, pasted: np.ndarray | None) -> np.ndarray:
    others = images[partner]
    if pasted is not None:
        return np.where(_inside(images, pasted), others, images)
    kept = np.rint(256 * share).astype(np.uint16)[:, None, None, None]  # whole numbers: alike on every device
    return ((images * kept + others * (256 - kept) + 128) >> 8).astype(np.uint8)
