"""scikit-learn's own tests pass with our names in the place of theirs (see plugin.py)."""

from pathlib import Path

import pytest

pytest.importorskip("sklearn")
HERE = Path(__file__).parent
MODULES = {
    "sklearn.metrics.tests.test_ranking": 150,
    "sklearn.metrics.tests.test_classification": 200,
    "sklearn.metrics.tests.test_regression": 25,
    "sklearn.neural_network.tests.test_mlp": 50,
}


@pytest.mark.parametrize(("module", "at_least"), list(MODULES.items()))
def test_their_tests_pass(module, at_least, their_tests):
    assert their_tests(HERE, [module], OPENBLAS_NUM_THREADS="1") >= at_least
