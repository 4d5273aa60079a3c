"""What hosts.py times: a piece of work, done by a host's own way and by ours."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A piece of work, done by ours and by theirs.

    What a first call of both returns is compared, wherever it is numbers: a number, an array, or a list of them.
    """

    work: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float  # how many times as fast ours is to be
