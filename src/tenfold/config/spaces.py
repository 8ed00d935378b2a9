"""What tuning may try for a setting: marks that stand beside the setting, in its type.

    batch_size: Annotated[int, Range(32, 512, log=True)] = 32

A setting without marks is never searched. Options of an architecture carry the same marks in the signature
of their builder.
"""

from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """Any number between two bounds, these among them; whole numbers where both bounds are whole.

    Attributes:
        low: the smallest; a search that starts below it begins there instead.
        high: the largest, likewise.
        log: tries each power of ten as often as the next, for what works by its order of magnitude.
    """

    low: int | float
    high: int | float
    log: bool = False


@dataclass(frozen=True)
class Around:
    """Any number about as large as the one to start from, each order of magnitude as often as the next.

    Attributes:
        low: smallest multiple of the value to start from.
        high: largest multiple.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Among:
    """One of some values. Of several such marks, the first that holds the value to start from counts.

    Attributes:
        values: what may be tried, besides the value to start from; where none are named, all choices that the
            type has.
    """

    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Only:
    """Searches a setting only where another one makes use of it.

    Attributes:
        setting: name of the other one.
        values: of the other one, that make use of it.
    """

    setting: str
    values: tuple[Value, ...]
