"""Keras is an extra's: without it, the adapter's tests are skipped. They run on the torch backend."""

import pytest

pytest.importorskip("keras", reason="keras is not installed: pip install 'fastopt[keras]'")
pytest.importorskip("torch", reason="torch is not installed: pip install 'fastopt[torch]'")
