"""JAX and optax are an extra's: without them, the adapter's tests are skipped."""

from functools import partial

import pytest

jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'fastopt[jax]'")
pytest.importorskip("optax", reason="optax is not installed: pip install 'fastopt[jax]'")


@pytest.fixture
def jit():
    """Return jax.jit that compiles in half the time: XLA's own code runs once here."""
    return partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
