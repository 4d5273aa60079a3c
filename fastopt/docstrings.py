"""What the docstrings of a room share, written once and filled in where each names it."""

import re
from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

Documented = TypeVar("Documented")


def filler(**parts: str) -> Callable[[Documented], Documented]:
    """Return a decorator that puts these parts into a docstring, where it has `{name}` on a line of its own.

    `help()` and whoever else reads `__doc__` see the whole text; nothing else of what is decorated changes.
    """

    def filled(documented: Documented) -> Documented:
        if documented.__doc__:  # `python -OO` leaves none
            documented.__doc__ = re.sub(
                r"^( *)\{(\w+)\}$", lambda at: indent(parts[at[2]], at[1]), documented.__doc__, flags=re.M
            )
        return documented

    return filled
