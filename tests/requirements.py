"""Prints what the extras of pyproject.toml need, a line each: `requirements.py hosts cuda`; `pip install` takes them.

So that packages can be added to a development install without building the kernels again.
"""

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def needed(extra: str) -> set[str]:
    found = set()
    for requirement in EXTRAS[extra]:
        own = re.fullmatch(r"fastopt\[(.+)\]", requirement)
        found |= set().union(*(needed(name) for name in own[1].split(","))) if own else {requirement}
    return found


if __name__ == "__main__":
    print("\n".join(sorted(set().union(*(needed(extra) for extra in sys.argv[1:])))))
