"""Batch normalization: gradients by finite differences, torch as the outside judge, hard statistics, the layer."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.normalization import BatchNorm, batch_norm_backward, batch_norm_forward

torch = pytest.importorskip("torch")
COMPILED = ("cython", "numba")
TARGETS = (*COMPILED, "reference")
SHAPES = ((6, 4), (5, 3, 7), (4, 3, 5, 6), (2, 3, 2, 3, 4))
LARGE = ((3, 5, 33, 41), (1500, 70), (70, 4, 9), (300, 3, 17))  # several grains of rows, blocks, folds and tails
for_each_target = pytest.mark.parametrize("target", TARGETS)


def problem(shape, axis=1, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    channels = shape[axis]
    x, dy = rng.normal(1.0, 2.0, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    gamma, beta = rng.uniform(0.5, 1.5, channels).astype(dtype), rng.normal(size=channels).astype(dtype)
    return x, dy, gamma, beta


# ---- right


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize(("shape", "axis"), [((6, 4), 1), ((3, 2, 5), 1), ((2, 3, 2, 4), -1)])
def test_gradients_agree_with_finite_differences(shape, axis, activation, training):
    x, dy, gamma, beta = problem(shape, axis)
    running = {"running_mean": np.full(shape[axis], 0.7), "running_var": np.full(shape[axis], 3.0)}
    options = {"training": training, "channel_axis": axis, "activation": activation}

    def loss():
        y, *_ = batch_norm_forward(x, gamma, beta, **({} if training else running), **options)
        return float((y * dy).sum())

    _, mean, invstd = batch_norm_forward(x, gamma, beta, **({} if training else running), **options)
    gradients = batch_norm_backward(dy, x, gamma, mean, invstd, beta=beta, **options)
    for values, gradient in zip((x, gamma, beta), gradients, strict=True):
        numeric = np.empty_like(values)
        for index in np.ndindex(values.shape):
            value, step = values[index], 1e-6
            values[index] = value + step
            above = loss()
            values[index] = value - step
            numeric[index] = (above - loss()) / (2 * step)
            values[index] = value
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


@for_each_target
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [*SHAPES, *LARGE])
def test_torch_agrees_in_training_and_inference(shape, activation, last, target):
    axis = -1 if last else 1
    x, dy, gamma, beta = problem(shape, axis)
    layer = BatchNorm(shape[axis], momentum=0.3, channel_axis=axis, activation=activation, dtype="float64")
    layer.gamma[...], layer.beta[...] = gamma, beta
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}
    judge = kind[len(shape)](shape[axis], momentum=0.3, dtype=torch.float64)
    with torch.no_grad():
        judge.weight.copy_(torch.from_numpy(gamma))
        judge.bias.copy_(torch.from_numpy(beta))
    with fo.target(target):
        for training in (True, True, False):
            judge.train(training)
            judge.zero_grad()
            given = torch.from_numpy(x).requires_grad_()
            wanted = judge(torch.moveaxis(given, axis, 1))
            wanted = torch.moveaxis(torch.relu(wanted) if activation else wanted, 1, axis)
            wanted.backward(torch.from_numpy(dy))
            close(layer.forward(x, training=training), wanted.detach().numpy())
            close(layer.backward(dy), given.grad.numpy())
            close(layer.grad_gamma, judge.weight.grad.numpy())
            close(layer.grad_beta, judge.bias.grad.numpy())
            close(layer.running_mean, judge.running_mean.numpy())
            close(layer.running_var, judge.running_var.numpy())
    assert layer.num_batches_tracked == int(judge.num_batches_tracked) == 2


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


@for_each_target
def test_momentum_none_averages_all_batches(target):
    layer, judge = BatchNorm(3, momentum=None, dtype="float64"), torch.nn.BatchNorm1d(3, momentum=None).double()
    with fo.target(target):
        for seed in range(4):
            x, *_ = problem((7, 3), seed=seed)
            layer.forward(x)
            judge(torch.from_numpy(x))
    close(layer.running_mean, judge.running_mean.numpy())
    close(layer.running_var, judge.running_var.numpy())


# ---- hard statistics


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize(
    ("shape", "axis"), [((8, 3, 25, 25), 1), ((5000, 3), 1), ((2, 40, 70, 16), -1), ((400, 16), 1)]
)
def test_a_large_mean_with_a_small_spread_is_normalized_right(shape, axis, target):
    rng = np.random.default_rng(0)
    x = (1e4 + 1e-2 * rng.normal(size=shape)).astype(np.float32)
    channels = shape[axis]
    axes = tuple(k for k in range(len(shape)) if k != axis % len(shape))
    wide = x.astype(np.float64)
    mean, variance = wide.mean(axis=axes), wide.var(axis=axes)
    expected = np.moveaxis((np.moveaxis(wide, axis, -1) - mean) / np.sqrt(variance + 1e-5), -1, axis)
    with fo.target(target):
        y, got_mean, invstd = batch_norm_forward(
            x, np.ones(channels, np.float32), np.zeros(channels, np.float32), channel_axis=axis
        )
    np.testing.assert_allclose(got_mean, mean, rtol=1e-10)
    np.testing.assert_allclose(invstd, 1 / np.sqrt(variance + 1e-5), rtol=1e-6)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


@for_each_target
@pytest.mark.parametrize("shape", [(4, 2, 50), (300, 2)])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e4, 12345.678])
def test_a_constant_channel_becomes_beta(value, shape, target):
    x = np.full(shape, value, np.float32)
    with fo.target(target):
        y, mean, invstd = batch_norm_forward(x, np.ones(2, np.float32), np.full(2, 0.5, np.float32))
    np.testing.assert_allclose(y, 0.5, atol=1e-6)
    np.testing.assert_allclose(mean, np.float64(np.float32(value)), rtol=1e-12)
    np.testing.assert_allclose(invstd, 1e5**0.5, rtol=1e-6)


@for_each_target
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(3, 4, 40), (40, 4), (20_000, 4)])
def test_nan_stays_in_its_channel(shape, bad, target):
    x, dy, gamma, beta = problem(shape)
    clean, *_ = batch_norm_forward(x, gamma, beta)
    x[2, 1] = bad
    with fo.target(target):
        y, mean, invstd = batch_norm_forward(x, gamma, beta, activation="relu")
        dx, *_ = batch_norm_backward(dy, x, gamma, mean, invstd, beta=beta, activation="relu")
    others = [0, 2, 3]
    assert np.isnan(y[:, 1]).all()
    assert np.isnan(dx[:, 1]).all()
    close(y[:, others], np.maximum(clean[:, others], 0))
    assert np.isfinite(dx[:, others]).all()


# ---- memory


LAYOUTS = {
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "channels last in memory": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1),
    "sliced": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
}


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(5, 4, 7, 3), (600, 130)])
def test_any_mix_of_layouts_is_right(shape, layout, target):
    x, dy, gamma, beta = problem(shape)
    y, mean, invstd = batch_norm_forward(x, gamma, beta)
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, mean, invstd)
    change = LAYOUTS[layout]
    with fo.target(target):
        for a, b in ((change, change), (change, np.array), (np.array, change)):
            out = b(np.zeros_like(x))
            got, got_mean, got_invstd = batch_norm_forward(a(x), gamma, beta, out=out)
            assert got is out
            close(got, y)
            got = batch_norm_backward(b(dy), a(x), gamma, got_mean, got_invstd)
            for one, other in zip(got, (dx, dgamma, dbeta), strict=True):
                close(one, other)


def test_a_new_result_lies_in_memory_as_the_input_does():
    x = LAYOUTS["channels last in memory"](problem((2, 3, 4, 5))[0])
    y, mean, invstd = batch_norm_forward(x, np.ones(3), np.zeros(3))
    dx, *_ = batch_norm_backward(x, x, np.ones(3), mean, invstd)
    assert y.strides == dx.strides == x.strides


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(5, 3, 300), (50, 40), (2000, 70)])
def test_in_place_gives_the_same_bits(shape, activation, dtype, target):
    x, dy, gamma, beta = problem(shape, dtype=dtype)
    running = {"running_mean": beta.copy(), "running_var": gamma.copy()}
    with fo.target(target):
        _, mean, invstd = batch_norm_forward(x, gamma, beta, activation=activation)
        options = {"beta": beta, "activation": activation}
        dx, *_ = batch_norm_backward(dy, x, gamma, mean, invstd, **options)
        got, *_ = batch_norm_backward(dy, x, gamma, mean, invstd, out=dy, **options)
        assert got is dy
        np.testing.assert_array_equal(got, dx)
        y, *_ = batch_norm_forward(x, gamma, beta, training=False, activation=activation, **running)
        got, *_ = batch_norm_forward(x, gamma, beta, training=False, activation=activation, out=x, **running)
        assert got is x
        np.testing.assert_array_equal(got, y)


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_any_number_of_threads_gives_the_same_bits(activation, axis, target):
    x, dy, gamma, beta = problem((9, 40, 31, 20), axis, "float32")
    before, results = fo.get_num_threads(), []
    try:
        with fo.target(target):
            for threads in (1, 2, 3, 7):
                fo.set_num_threads(threads)
                layer = BatchNorm(len(gamma), channel_axis=axis, activation=activation)
                layer.gamma[...], layer.beta[...] = gamma, beta
                arrays = layer.forward(x), layer.backward(dy), layer.grad_gamma, layer.running_var
                results.append([array.tobytes() for array in arrays])
    finally:
        fo.set_num_threads(before)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize(("shape", "axis"), [((4, 3, 50, 41), 1), ((3000, 30), 1), ((60, 30), 1)])
def test_the_mask_of_the_backward_is_that_of_the_forward(shape, axis, target):
    """A gradient of one over ReLU's output, in inference: dx is nonzero exactly where y is."""
    x, _, gamma, beta = problem(shape, axis, "float32")
    running = {"running_mean": beta.copy(), "running_var": gamma.copy()}
    options = {"training": False, "channel_axis": axis, "activation": "relu"}
    with fo.target(target):
        y, mean, invstd = batch_norm_forward(x, gamma, beta, **running, **options)
        dx, *_ = batch_norm_backward(np.ones_like(x), x, gamma, mean, invstd, beta=beta, **options)
    np.testing.assert_array_equal(dx != 0, y > 0)


# ---- the layer


def test_frozen_statistics_are_constants():
    x, dy, *_ = problem((6, 3))
    layer = BatchNorm(3, dtype="float64")
    layer.running_mean[...], layer.running_var[...] = 0.5, 4.0
    layer.forward(x, training=False)
    close(layer.backward(dy), dy / np.sqrt(4.0 + 1e-5))
    close(layer.grad_gamma, (dy * (x - 0.5) / np.sqrt(4.0 + 1e-5)).sum(axis=0))
    assert layer.num_batches_tracked == 0
    assert (layer.running_mean == 0.5).all()


def test_without_affine_parameters():
    x, dy, *_ = problem((6, 3))
    plain, layer = BatchNorm(3, dtype="float64"), BatchNorm(3, affine=False, dtype="float64")
    assert layer.gamma is layer.beta is layer.grad_gamma is layer.grad_beta is None
    np.testing.assert_array_equal(layer.forward(x), plain.forward(x))
    np.testing.assert_array_equal(layer.backward(dy), plain.backward(dy))


def test_gradients_are_written_where_they_were():
    x, dy, *_ = problem((6, 3))
    layer = BatchNorm(3, dtype="float64")
    kept = layer.grad_gamma, layer.grad_beta
    layer.forward(x)
    layer.backward(dy)
    assert layer.grad_gamma is kept[0]
    close(layer.grad_beta, dy.sum(axis=0))
    assert "BatchNorm(3, momentum=0.1" in repr(layer)


def test_backward_needs_a_forward_that_left_x():
    x, dy, *_ = problem((6, 3))
    layer = BatchNorm(3, dtype="float64")
    with pytest.raises(ValueError, match="backward: expected a forward before it"):
        layer.backward(dy)
    layer.forward(x, training=False, out=x)
    with pytest.raises(ValueError, match="other than x"):
        layer.backward(dy)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"features": 0}, ValueError, r"features: expected an integer from 1 to 2\*\*59 - 1, got 0"),
        ({"features": 2.5}, ValueError, "features: expected"),
        ({"momentum": 1.5}, ValueError, r"momentum: expected a number in \[0, 1\], got 1.5"),
        ({"eps": 0.0}, ValueError, "eps: expected a finite number > 0"),
        ({"channel_axis": "last"}, TypeError, "channel_axis: expected an integer"),
        ({"affine": "yes"}, TypeError, "affine: expected True or False"),
        ({"activation": "tanh"}, ValueError, "activation: expected None or 'relu', got 'tanh'"),
        (
            {"dtype": "int8"},
            ValueError,
            "dtype: expected one of 'float32', 'float64', 'bfloat16', 'float16', got 'int8'",
        ),
    ],
)
def test_a_layer_refuses_what_it_cannot_be(changes, error, words):
    with pytest.raises(error, match=words):
        BatchNorm(**{"features": 3, **changes})


@for_each_target
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.ones((4, 2), np.float32), ValueError, r"x: expected 3 channels on axis 1, got shape \(4, 2\)"),
        (np.ones((4, 3)), TypeError, "x: expected float32, got float64"),
        (np.ones((1, 3), np.float32), ValueError, "x: expected two or more values per channel in training"),
        (np.ones((0, 3), np.float32), ValueError, "x: expected at least one element"),
        (np.ones(3, np.float32), ValueError, "x: expected two or more axes"),
    ],
)
def test_a_failed_forward_leaves_the_layer_as_it_was(x, error, words, target):
    layer = BatchNorm(3)
    with fo.target(target), pytest.raises(error, match=words):
        layer.forward(x)
    assert layer.num_batches_tracked == 0
    assert (layer.running_mean == 0).all()
    assert (layer.running_var == 1).all()
