"""What the tests of a kind share lies beside them: calls.py, pairs.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pairs import DENSE


@pytest.fixture(params=DENSE, ids=str)
def pair(request):
    return DENSE[request.param]
