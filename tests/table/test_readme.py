"""The README's examples run, in order, as a reader would type them."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
LONGEST = 190  # lines: a newcomer reads it in one breath


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)


def test_the_two_commands_come_first():
    text = README.read_text()
    assert text.index("make demo") < text.index("make test") < text.index("## ")


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= LONGEST


def test_links_lead_somewhere():
    for page in (README, *(README.parent / "docs").glob("*.md"), *(README.parent / "kernels").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
