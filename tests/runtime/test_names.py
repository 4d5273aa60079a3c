"""Misspelt arguments are told the nearest; whoever hands arguments on is left to do so."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.names import unknown


def handing_on(base):
    class Subclass(base):
        __qualname__ = "Subclass"

        def __init__(self, *args, **named):
            super().__init__(*args, **named)

    return Subclass


@pytest.mark.parametrize(
    ("base", "args", "named"),
    [
        (fo.metrics.AUC, (), {"curve": "PR"}),
        (fo.normalization.LayerNorm, (3,), {"eps": 1e-3}),
        (fo.schedules.CosineDecay, (1.0,), {"decay_steps": 10}),
        (fo.optimizers.Adam, (np.ones(2),), {"lr": 0.5}),
    ],
)
def test_a_subclass_may_hand_its_arguments_on(base, args, named):
    made = handing_on(base)(*args, **named)
    assert repr(made).partition("(")[2] == repr(base(*args, **named)).partition("(")[2]


def test_a_name_that_is_no_string_is_unknown_as_any_other():
    assert unknown(1, ["lr", "eps"]) == "expected one of lr, eps, got 1"
    with pytest.raises(ValueError, match=r"^params\[0\]: expected one of lr, .*, got 1$"):
        fo.optimizers.Adam([{"params": np.ones(2), 1: 0.5}])
