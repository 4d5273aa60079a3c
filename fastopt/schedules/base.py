"""What all schedules share: the checks of their fields, and of the step."""

import math

from fastopt import expect
from fastopt.docstrings import filler

GROWTH = expect.Domain(lambda x: 1 <= x < math.inf, "a finite number ≥ 1")

filled = filler(
    raises="""\
Raises
------
TypeError, ValueError
    If an argument is outside its domain.""",
)


def checked_step(step: int) -> int:
    return expect.integer(step, "step", 0)


class Checked(expect.Named):
    """Base that checks the fields named in a class's domains, and keeps them as floats and ints."""

    def _numbers(self, **domains: expect.Domain) -> None:
        for name, domain in domains.items():
            object.__setattr__(self, name, expect.number(getattr(self, name), name, domain))

    def _counts(self, *names: str) -> None:
        for name in names:
            object.__setattr__(self, name, expect.integer(getattr(self, name), name, 1))
