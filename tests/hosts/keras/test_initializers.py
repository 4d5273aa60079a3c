"""fastopt.keras.initializers beside Keras's own: distributions, seeds, configurations."""

import doctest
import inspect

import keras
import numpy as np
import pytest

import fastopt
from fastopt.keras import initializers as ours

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's to NumPy

SHAPE = (300, 200)
CASES = [
    ("RandomNormal", {"mean": 0.5, "stddev": 2.0}),
    ("TruncatedNormal", {"mean": 0.5, "stddev": 2.0}),
    ("RandomUniform", {"minval": -1.0, "maxval": 3.0}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"}),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "uniform", "input_axes": [0], "output_axes": [1]}),
    *((name, {}) for name in ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform")),
]


def draw(initializer, shape=SHAPE, dtype=None):
    return keras.ops.convert_to_numpy(keras.ops.cast(initializer(shape, dtype), "float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_distribution_is_that_of_keras(name, options, dtype):
    weights = getattr(ours, name)(**options, seed=3)(SHAPE, dtype)
    assert keras.backend.standardize_dtype(weights.dtype) == dtype
    values = draw(getattr(ours, name)(**options, seed=3), dtype=dtype)
    expected = draw(getattr(keras.initializers, name)(**options, seed=3))
    spread = expected.std()
    assert not np.array_equal(values, expected)  # Keras has drawn nothing
    assert abs(values.mean() - expected.mean()) < 0.03 * spread  # 5 standard errors of the difference
    assert abs(values.std() / spread - 1.0) < 0.03
    if name != "RandomNormal" and options.get("distribution") != "untruncated_normal":
        rounding = 0.01 * np.abs(expected).max()
        assert np.abs(values).max() <= np.abs(expected).max() + rounding


@pytest.mark.parametrize("name", ours.__all__)
def test_seeds_are_used_as_by_keras(name):
    make = getattr(ours, name)
    fixed = make(seed=7)
    np.testing.assert_array_equal(draw(fixed), draw(fixed))
    np.testing.assert_array_equal(draw(fixed), draw(make(seed=7)))
    assert not np.array_equal(draw(fixed), draw(make(seed=8)))
    assert not np.array_equal(draw(make()), draw(make()))
    moving = make(seed=keras.random.SeedGenerator(7))
    first = draw(moving)
    assert not np.array_equal(first, draw(moving))
    np.testing.assert_array_equal(first, draw(make(seed=keras.random.SeedGenerator(7))))
    keras.utils.set_random_seed(1)
    before = draw(make())
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(before, draw(make()))


@pytest.mark.parametrize("name", ours.__all__)
def test_classes_are_keras_classes_with_their_arguments(name):
    own, theirs = getattr(ours, name), getattr(keras.initializers, name)
    assert issubclass(own, theirs)
    assert inspect.signature(own) == inspect.signature(theirs)
    one = own(seed=3)
    again = keras.initializers.deserialize(keras.initializers.serialize(one))
    assert type(again) is own
    assert again.get_config() == one.get_config() == theirs(seed=3).get_config()


def test_any_number_of_threads_draws_the_same():
    found, before = [], fastopt.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fastopt.set_num_threads(threads)
            found.append(draw(ours.HeNormal(seed=0), (1000, 300)))
    finally:
        fastopt.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("initializer", "shape", "dtype"),
    [
        (ours.RandomNormal(stddev=0.0), (2, 3), "float32"),
        (ours.RandomUniform(1.0, 1.0), (2, 3), "float32"),
        (ours.HeNormal(), (0, 3), "float32"),
        (ours.RandomUniform(0, 10), (2, 3), "float32"),
        (ours.RandomNormal(), (), "float32"),
    ],
)
def test_odd_requests_are_answered(initializer, shape, dtype):
    weights = initializer(shape, dtype)
    assert tuple(weights.shape) == shape
    assert keras.backend.standardize_dtype(weights.dtype) == dtype


def test_a_layer_is_built_and_saved(tmp_path):
    layer = keras.layers.Dense(3, kernel_initializer=ours.HeUniform(seed=1))
    model = keras.Sequential([keras.Input((8,)), layer])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.kernel), draw(ours.HeUniform(seed=1), (8, 3)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1].kernel_initializer) is ours.HeUniform


def test_examples_do_what_they_say():
    result = doctest.testmod(ours)
    assert result.attempted > 0
    assert result.failed == 0
