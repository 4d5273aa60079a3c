"""The examples in the adapters' docstrings run, each where its host is installed."""

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "fastopt"
HOSTS = {"torch": "torch", "keras": "keras", "jax": "jax", "sklearn": "sklearn"}
ADAPTERS = [
    pytest.param(host, path, id=f"{adapter}-{path.stem}")
    for adapter, host in HOSTS.items()
    for path in sorted((PACKAGE / adapter).rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize(("host", "path"), ADAPTERS)
def test_the_examples_run(host, path):
    pytest.importorskip(host)
    name = ".".join(("fastopt", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name)).failed == 0
