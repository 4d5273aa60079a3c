"""The optimizers' CUDA kernels: their text on the CPU, and their PTX run step by step, have the CPU's bits."""

import host
import numpy as np
import ptx
import pytest
import recipes

from fastopt.kernels.optimizers import cuda

ALL = {"clip": True, "decay": True, "average": True}
STORAGE = {
    "bfloat16": {"param": "bfloat16", "grad": "bfloat16"},
    "float16": {"param": "float16", "grad": "float16"},
    "split": {"param": "split", "grad": "bfloat16"},
    "stochastic": {"param": "stochastic", "grad": "bfloat16"},
    "16-bit state": {"state": ("bfloat16", "square16")},
    "8-bit state": {"state": ("mean8", "square8")},
    "all": {"param": "stochastic", "grad": "bfloat16", "state": ("mean8", "square8"), "copy": "bfloat16", **ALL},
    "float64": {"compute": "float64", "grad": "float32", "copy": "float16", **ALL},
}
RECIPES = {**{name: (name, {}) for name in recipes.RULES}, **{f"adam, {k}": ("adam", v) for k, v in STORAGE.items()}}


def case(key):
    """Return a recipe, what its step is asked for, its kernel, its scalars; deterministic."""
    name, options = RECIPES[key]
    recipe, asked = recipes.recipe(name, **options), "clip" in options
    kernel = cuda.elements(recipe, zero=asked, stats=asked)
    rng = np.random.default_rng(3)
    rule = rng.uniform(0.1, 0.9, len(recipe.kernel.scalars))
    return recipe, asked, kernel, rule, rng


def fill(key, rng, recipe, sizes):
    plain = key in recipes.RULES  # elsewhere a NaN's bits, which a GPU chooses, would be cut
    return recipes.jobs(recipe, sizes, rng, special=plain)


@pytest.mark.parametrize("key", RECIPES)
def test_text_has_the_bits_of_the_cpu(key):
    recipe, asked, kernel, rule, rng = case(key)
    expected = fill(key, rng, recipe, recipes.SIZES)
    found = recipes.copies(expected)
    updates = recipes.by_cpu(recipe, expected, rule, zero=asked, stats=asked)
    sums = host.run(kernel, found, [[*recipes.STAGES.values(), *recipes.WORDS, *rule]], words=recipes.WORDS)
    assert recipes.different(expected, found) == []
    if asked:
        np.testing.assert_allclose(sums.sum(), updates.sum(), rtol=1e-13)


@pytest.mark.parametrize("key", RECIPES)
def test_ptx_has_the_bits_of_the_text(key):
    recipe, _, kernel, rule, rng = case(key)
    expected = fill(key, rng, recipe, (1, 33, 2304) if key in recipes.RULES else (33, 300))
    found, scalars = recipes.copies(expected), [[*recipes.STAGES.values(), *recipes.WORDS, *rule]]
    sums = host.run(kernel, expected, scalars, words=recipes.WORDS)
    measured, program = ptx.run(ptx.of(kernel), kernel, found, scalars, words=recipes.WORDS)
    assert recipes.different(expected, found) == []
    np.testing.assert_array_equal(measured, sums)
    assert program.counts


@pytest.mark.parametrize("key", RECIPES)
def test_ptx_holds_nothing_slow_and_nothing_inexact(key):
    *_, kernel, _, _ = case(key)
    facts = ptx.facts(ptx.of(kernel))
    wide = facts.pop("float64")
    if key == "ftrl_power":
        assert facts.pop("fma") > 0  # exp and log write theirs
    assert facts == dict.fromkeys(facts, 0)
    assert wide == 0 or kernel.real == "float64" or kernel.sums


@ptx.needs_assembler
@pytest.mark.parametrize("key", ["adam, all", "adam, float64", "adam, float16"])
def test_ptx_assembles_without_stack_or_spills(key, tmp_path):
    """What is compiled at its first use; test_shipped.py has what comes with the package."""
    *_, kernel, _, _ = case(key)
    for arch in ptx.ARCHITECTURES:
        spilled, registers = ptx.assemble(ptx.of(kernel), arch, tmp_path)
        assert spilled == 0, arch
        assert registers <= 168, arch
