"""JAX and optax are an extra's: without them, the adapter's tests are skipped."""

import pytest

pytest.importorskip("jax", reason="jax is not installed: pip install 'fastopt[jax]'")
pytest.importorskip("optax", reason="optax is not installed: pip install 'fastopt[jax]'")
