"""What torch_training.py times: a piece of work, done by ours and by others."""

from collections.abc import Callable
from dataclasses import dataclass, field

Run = Callable[[], object]


@dataclass
class Row:
    """A piece of work, done by ours and by others.

    `peers` holds each one's way, and how many times as fast ours is to be: 0 where that was never set.
    """

    work: str
    ours: Run
    peers: dict[str, tuple[Run, float]] = field(default_factory=dict)


def named(work: str, make: Callable[[], tuple[Run, dict[str, tuple[Run, float]]]]) -> Callable[[], Row]:
    """Return what makes a row; its docstring is the work, so that one can choose before anything is made."""

    def made() -> Row:
        return Row(work, *make())

    made.__doc__ = work
    return made
