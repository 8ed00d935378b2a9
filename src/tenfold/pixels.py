"""What augmentation does to pixels as tensors: warps, lookup tables, colour, sharpness, AugMix's chains.

All of it works on whole batches of torch's tensors, on any device, so that the processor and an accelerator
share it. However many operations a picture gets, its places are computed once and its values looked up once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

GREY = 128
"""Of what cutout and random erasing blank."""

RETOUCHES = ("maps", "tones", "colour", "sharpness", "chain_maps", "chain_tones", "chain_weights")
"""The fields of an `augmentation.Changes` that `retouch` carries out."""

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in the grey of a pixel (ITU-R BT.601)


def retouch(
    images: "Tensor",
    *,
    maps: "Tensor | None" = None,
    tones: "Tensor | None" = None,
    colour: "Tensor | None" = None,
    sharpness: "Tensor | None" = None,
    chain_maps: "Tensor | None" = None,
    chain_tones: "Tensor | None" = None,
    chain_weights: "Tensor | None" = None,
) -> "Tensor":
    """Pictures moved and recoloured, in the order of the arguments; see `augmentation.Changes` for each.

    Args:
        images: uint8 (n, height, width, 3).

    Returns:
        uint8, of the same shape, on the same device.
    """
    planes = images.permute(0, 3, 1, 2).contiguous()
    if maps is not None:
        planes = _whole(_seen_through(planes.float(), maps))
    if tones is not None:
        places = _places(planes)
        planes = _looked_up(_to_bytes(_tables(places, tones)), places)
    if colour is not None:
        planes = _blended(planes, colour, _greyed)
    if sharpness is not None:
        planes = _blended(planes, sharpness, _smoothed)
    if chain_maps is not None and chain_tones is not None and chain_weights is not None:
        planes = _mixed_chains(planes, chain_maps, chain_tones, chain_weights)
    return planes.permute(0, 2, 3, 1).contiguous()


def _seen_through(planes: "Tensor", maps: "Tensor") -> "Tensor":
    """Planes, float (n, 3, h, w), seen through affine maps, bilinear; the edge fills what comes into view."""
    import torch

    n, _, height, width = planes.shape
    x, y = (torch.linspace(-1, 1, size, device=planes.device) * (size - 1) / size for size in (width, height))
    # What torch's affine_grid gives, in a third of its time: its product of many small matrices is slow.
    grid = torch.empty(n, height, width, 2, device=planes.device)
    for axis in range(2):
        across, down, start = maps[:, axis, :, None].unbind(1)
        torch.add((across * x)[:, None], (down * y)[:, :, None], out=grid[..., axis])
        grid[..., axis] += start[..., None]
    return torch.nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)


def _whole(planes: "Tensor") -> "Tensor":
    return _to_bytes(planes.round().clamp(0, 255))


def _to_bytes(planes: "Tensor") -> "Tensor":
    import torch

    return planes.to(torch.uint8)


def _places(planes: "Tensor") -> "Tensor":
    """Where the value of each pixel stands in tables (n, 3, 256) laid flat: int32 (n, 3, h, w)."""
    import torch

    n = planes.shape[0]
    first = torch.arange(0, 768 * n, 256, device=planes.device, dtype=torch.int32)
    return planes + first.view(n, 3, 1, 1)


def _looked_up(tables: "Tensor", places: "Tensor") -> "Tensor":
    return tables.flatten().index_select(0, places.flatten()).view(places.shape)


def _counted(places: "Tensor") -> "Tensor":
    """How often each value occurs in each plane: float32 (n, 3, 256)."""
    import torch

    n = places.shape[0]
    return torch.bincount(places.flatten(), minlength=768 * n).view(n, 3, 256).float()


def _tables(places: "Tensor", tones: "Tensor", counts: "Tensor | None" = None) -> "Tensor":
    """What each value of each plane becomes: float32 (n, 3, 256), whole numbers from 0 to 255.

    Args:
        places: of the pixels; see `_places`.
        tones: float32 (2, k, n), the k operations on each picture, one after the other, and their strengths.
        counts: as `_counted` gives them, where they are at hand.
    """
    import torch

    numbers, strengths = tones
    n = numbers.shape[1]
    tables = torch.arange(256, device=places.device, dtype=torch.float32).expand(n, 3, 256).clone()
    if counts is None:
        counts = _counted(places)
    for number, strength in zip(numbers, strengths, strict=True):
        for wanted, change in enumerate(_CHANGES):
            rows = (number == wanted).nonzero()[:, 0]
            if change is not None and len(rows):
                tables[rows] = change(tables[rows], counts[rows], strength[rows, None, None])
    return tables


# Each takes tables (m, 3, 256), how often each value occurs (m, 3, 256), and strengths (m, 1, 1). The meaning
# of a strength is that of Pillow's operation of the same name.


def _brightness(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    return (strength * tables).round().clamp(0, 255)


def _contrast(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    means = (counts * tables).sum(-1) / counts.sum(-1)
    grey = (means * means.new_tensor(_LUMA)).sum(-1)[:, None, None]  # the picture's mean grey: it is linear
    return (grey + strength * (tables - grey)).round().clamp(0, 255)


def _posterize(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    step = (8 - strength).exp2()
    return (tables / step).floor() * step


def _solarize(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    return (255 - tables).where(tables >= strength, tables)


def _autocontrast(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    seen = counts > 0
    low = tables.masked_fill(~seen, 255).amin(-1, keepdim=True)
    high = tables.masked_fill(~seen, 0).amax(-1, keepdim=True)
    stretched = ((tables - low) * 255 / (high - low).clamp(min=1)).round().clamp(0, 255)
    return stretched.where(high > low, tables)


def _equalize(tables: "Tensor", counts: "Tensor", strength: "Tensor") -> "Tensor":
    # The textbook's rule: Pillow's steps of whole pixels leave small pictures as they are, or coarse.
    values = tables.long()
    now = counts.new_zeros(counts.shape).scatter_add(-1, values, counts)
    reached = now.cumsum(-1)
    total = reached[..., -1:]
    first = reached.where(now > 0, total).amin(-1, keepdim=True)  # pixels of the lowest value
    even = ((reached - first).clamp(min=0) * 255 / (total - first).clamp(min=1)).round()
    return even.gather(-1, values).where(total > first, tables)


_Change = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]

_OPERATIONS: dict[str, _Change | None] = {
    "identity": None,
    "brightness": _brightness,
    "contrast": _contrast,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
_CHANGES = tuple(_OPERATIONS.values())

TONES = tuple(_OPERATIONS)
"""Operations that look at one value at a time; `Changes.tones` names them by their places here."""


def _blended(planes: "Tensor", factor: "Tensor", without: Callable[["Tensor"], "Tensor"]) -> "Tensor":
    """Each picture blended with a lesser one of itself: 0 gives that, 1 the picture, 2 overdoes it."""
    rows = (factor != 1).nonzero()[:, 0]
    pixels = planes[rows].float()
    changed = without(pixels).lerp(pixels, factor[rows, None, None, None])
    result = planes.clone()
    result[rows] = _whole(changed)
    return result


def _greyed(pixels: "Tensor") -> "Tensor":
    red, green, blue = (share * plane for share, plane in zip(_LUMA, pixels.unbind(1), strict=True))
    return (red + green + blue)[:, None].expand_as(pixels)


def _smoothed(pixels: "Tensor") -> "Tensor":
    """Pillow's smoothing: nine neighbours, the pixel itself counting five times; the border stays."""
    across = pixels[..., :-2] + pixels[..., 1:-1] + pixels[..., 2:]
    around = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    result = pixels.clone()
    result[..., 1:-1, 1:-1] = (around + 4 * pixels[..., 1:-1, 1:-1]) / 13
    return result


def _mixed_chains(planes: "Tensor", maps: "Tensor", tones: "Tensor", weights: "Tensor") -> "Tensor":
    """Each picture mixed with what several chains of operations make of it.

    Weights are folded into the tables, so that a chain costs one lookup, one warp and one sum.
    """
    places = _places(planes)
    counts = _counted(places)
    mixed = planes * weights[0, :, None, None, None]
    for move, tone, weight in zip(maps, tones, weights[1:], strict=True):
        tables = weight[:, None, None] * _tables(places, tone, counts)
        mixed += _seen_through(_looked_up(tables, places), move)
    return _whole(mixed)
