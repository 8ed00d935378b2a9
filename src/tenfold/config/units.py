"""Quantities as people write them: time spans and shares."""

import math
import re

from tenfold.errors import UsageError

_UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(text: str) -> float:
    """A time span as people write it, in seconds: hours, minutes and seconds, or a number of seconds alone.

    Raises:
        UsageError: anything else.

    Example:
        >>> seconds("1h30m"), seconds("1.5m"), seconds("90")
        (5400.0, 90.0, 90.0)
    """
    number = r"(\d+\.?\d*|\.\d+)"
    found = re.fullmatch(rf"{number}|(?:{number}h)?(?:{number}m)?(?:{number}s)?", text.strip().lower())
    if not (found and any(found.groups())):
        raise UsageError(f"time must be a time span, for example 90, 90s, 5m or 1h30m. Received: time={text}")
    alone, *parts = found.groups(default="0")
    return float(alone) + sum(float(part) * size for part, size in zip(parts, _UNITS.values(), strict=True))


def share(text: str) -> float:
    """A share as people write it: 2%, or 0.02.

    Raises:
        UsageError: anything else, or not between 0 and 1.

    Example:
        >>> share("2%"), share("0.02")
        (0.02, 0.02)
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if rest or not 0 <= value <= 1:
        raise UsageError(f"Expected a share such as 2% or 0.02. Received: {text!r}")
    return value
