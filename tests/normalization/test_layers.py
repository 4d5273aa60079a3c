"""What layers let people set, save and restore; 16-bit inputs; masks and channel axes beside the table."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import fastopt as fo
from fastopt.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)
LAYERS = {
    "batch": lambda **options: BatchNorm(4, **options),
    "layer": lambda **options: LayerNorm(4, **options),
    "rms": lambda **options: RMSNorm(4, **options),
    "group": lambda **options: GroupNorm(2, 4, **options),
    "instance": lambda **options: InstanceNorm(4, affine=True, **options),
}
for_each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def batch(shape=(6, 4, 4)):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# ---- what may be set


@for_each_layer
def test_assigning_to_a_parameter_has_its_effect_and_keeps_the_array(make):
    layer, x = make(), batch()
    before, own = layer.forward(x), layer.gamma
    layer.gamma = np.full(4, 3.0, np.float32)
    assert layer.gamma is own
    assert not np.array_equal(layer.forward(x), before)
    layer.gamma *= 2
    assert (own == 6).all()


def test_statistics_may_be_restored_by_assignment():
    layer, x = BatchNorm(4), batch((6, 4))
    layer.running_mean = np.full(4, 2.0, np.float32)
    layer.running_var = np.full(4, 9.0, np.float32)
    np.testing.assert_allclose(layer.forward(x, training=False), (x - 2) / 3, rtol=1e-5, atol=1e-6)
    layer.num_batches_tracked, layer.momentum = 9, None
    layer.forward(x)
    np.testing.assert_allclose(layer.running_mean, 1.8 + 0.1 * x.mean(axis=0), rtol=1e-6)


@for_each_layer
@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("gamma", np.ones(3, np.float32), ValueError, r"gamma: expected shape \(4,\), got \(3,\)"),
        ("gamma", np.ones(4), TypeError, "gamma: expected float32, got float64"),
        ("gamma", [1.0] * 4, TypeError, "gamma: expected a NumPy array, got list"),
        ("grad_gamma", np.ones(5, np.float32), ValueError, "grad_gamma: expected shape"),
        ("eps", 0.0, ValueError, "eps: expected a finite number > 0"),
        ("dtype", "float64", AttributeError, "dtype: expected no change of what the layer was made with"),
        ("affine", False, AttributeError, "affine: expected no change"),
        ("gama", 1, AttributeError, "gama: expected one of .*, got 'gama'; did you mean 'gamma'?"),
    ],
)
def test_what_cannot_be_set_raises_and_changes_nothing(make, name, value, error, words):
    layer, x = make(), batch()
    before = layer.forward(x)
    with pytest.raises(error, match=words):
        setattr(layer, name, value)
    np.testing.assert_array_equal(layer.forward(x), before)


def test_what_a_layer_was_made_with_stays():
    for layer, name in ((BatchNorm(4), "features"), (BatchNorm(4), "channel_axis"), (GroupNorm(2, 4), "num_groups"),
                        (LayerNorm(4), "normalized_shape"), (LayerNorm(4, bias=False), "beta"),
                        (BatchNorm(4, affine=False), "gamma"), (BatchNorm(4), "activation")):  # fmt: skip
        with pytest.raises(AttributeError, match=f"{name}: expected no change"):
            setattr(layer, name, 1)
    with pytest.raises(ValueError, match="momentum: expected a number in"):
        BatchNorm(4).momentum = 2.0
    with pytest.raises(TypeError, match="num_batches_tracked: expected an integer"):
        BatchNorm(4).num_batches_tracked = 1.5


# ---- state


@for_each_layer
def test_a_state_restores_another_layer(make):
    one, other, x = make(), make(), batch()
    one.forward(x)
    one.gamma = np.linspace(1, 2, 4, dtype=np.float32)
    state = one.state_dict()
    kept = other.gamma
    other.load_state_dict(state)
    assert other.gamma is kept
    np.testing.assert_array_equal(other.forward(x), one.forward(x))
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name])
    state["gamma"][...] = 0
    assert (one.gamma > 0).all()


@for_each_layer
def test_a_wrong_state_is_refused_as_a_whole(make):
    layer = make()
    state = layer.state_dict()
    before = {name: value.copy() for name, value in state.items()}
    last = list(state)[-1]
    for spoilt, error in (
        ([1], TypeError),
        ({name: value for name, value in state.items() if name != last}, ValueError),
        ({**state, "more": 1}, ValueError),
        ({**state, "gamma": np.ones(5, np.float32)}, ValueError),
        ({**state, "gamma": np.full(4, 7.0)}, TypeError),
        ({**state, "gamma": np.full(4, 7.0, np.float32), last: np.ones((2, 2), np.float32)}, (TypeError, ValueError)),
    ):
        with pytest.raises(error, match="state"):
            layer.load_state_dict(spoilt)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@for_each_layer
def test_layers_are_copied_and_pickled(make):
    layer, x = make(), batch()
    layer.forward(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        other.gamma = np.full(4, 2.0, np.float32)
        assert (layer.gamma == 1).all()
        np.testing.assert_array_equal(other.backward(x), layer.backward(2 * x))


# ---- every option of a layer has its effect


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (BatchNorm, {"momentum": 0.5, "eps": 0.5, "channel_axis": 2, "affine": False, "activation": "relu",
                     "dtype": "float64", "biased": True}),
        (LayerNorm, {"eps": 0.5, "affine": False, "bias": False, "dtype": "float64"}),
        (RMSNorm, {"eps": 0.5, "affine": False, "dtype": "float64"}),
        (lambda features=4, **options: GroupNorm(options.pop("num_groups", 2), features, **options),
         {"num_groups": 4, "eps": 0.5, "affine": False, "dtype": "float64", "channel_axis": 2}),
        (InstanceNorm, {"eps": 0.5, "affine": True, "dtype": "float64", "channel_axis": 2}),
    ],
)  # fmt: skip
def test_every_option_of_a_layer_changes_something(make, changes):
    x = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)

    def outcome(**options):
        layer = make(4, **options)
        kind = options.get("dtype", "float32")
        results = [layer.forward(x.astype(kind)), layer.backward(np.sin(x).astype(kind))]
        return [*results, *(value for value in vars(layer).values() if isinstance(value, np.ndarray))]

    plain = outcome()
    for name, value in changes.items():
        changed = outcome(**{name: value})
        assert len(changed) != len(plain) or any(
            a.dtype != b.dtype or not np.array_equal(a, b) for a, b in zip(changed, plain, strict=True)
        ), name


# ---- 16 bits


@for_each_target
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("layout", ["packed", "strided", "in place"])
def test_16_bits_are_computed_in_float32_and_rounded_once(layout, name, dtype, target):
    kind = np.dtype(getattr(ml_dtypes, dtype, np.float16))
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(5, 4, 3, 4)).astype(kind) for _ in range(2))
    if layout == "strided":
        x, dy = np.repeat(x, 2, axis=-1)[..., ::2], np.ascontiguousarray(dy.T).T
    make = LAYERS[name]
    wide, layer = make(), make(dtype=dtype)
    assert layer.gamma.dtype == np.float32
    with fo.target(target):
        expected = wide.forward(x.astype(np.float32)), wide.backward(dy.astype(np.float32))
        y = layer.forward(x)
        dx = layer.backward(dy, out=dy if layout == "in place" else None)
    for got, want in zip((y, dx), expected, strict=True):
        assert got.dtype == kind
        rounding = float(ml_dtypes.finfo(kind).eps)
        np.testing.assert_allclose(got.astype(float), want, rtol=rounding, atol=1e-6)
    np.testing.assert_allclose(layer.grad_gamma, wide.grad_gamma, rtol=1e-5, atol=1e-5)
    if name == "batch":
        np.testing.assert_allclose(layer.running_var, wide.running_var, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_large_16_bit_arrays_have_the_bits_of_any_number_of_threads(dtype):
    kind = np.dtype(getattr(ml_dtypes, dtype, np.float16))
    x = np.random.default_rng(0).normal(size=(8, 32, 60, 70)).astype(kind)
    before, found = fo.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            fo.set_num_threads(threads)
            layers = BatchNorm(32, dtype=dtype), LayerNorm(70, dtype=dtype), GroupNorm(4, 32, dtype=dtype)
            found.append([(layer.forward(x).tobytes(), layer.backward(x).tobytes()) for layer in layers])
    finally:
        fo.set_num_threads(before)
    assert found[1] == found[2] == found[0]


def test_parameters_of_16_bits_are_refused():
    x = np.zeros((2, 3), np.float16)
    with pytest.raises(TypeError, match=r"gamma: expected float32 .*got float16"):
        fo.normalization.layer_norm_forward(x, x[0])


# ---- masks, axes


@for_each_target
@pytest.mark.parametrize("axis", [1, -1])
def test_a_mask_leaves_values_out_of_the_statistics_alone(axis, target):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(2, 6, 5, 3))
    mask = rng.uniform(size=np.delete(x.shape, axis)) < 0.6
    layer = BatchNorm(x.shape[axis], channel_axis=axis, dtype="float64", biased=True, eps=1e-9)
    values = np.moveaxis(x, axis, -1)[mask]
    with fo.target(target):
        y = layer.forward(x, mask=mask)
        dx = layer.backward(dy)
    wanted = (np.moveaxis(x, axis, -1) - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(np.moveaxis(y, axis, -1), wanted, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * values.var(axis=0), rtol=1e-12)
    index = tuple(length // 2 for length in x.shape)

    def loss(step):
        moved = x.copy()
        moved[index] += step
        again = BatchNorm(x.shape[axis], channel_axis=axis, dtype="float64", eps=1e-9)
        return float((again.forward(moved, mask=mask) * dy).sum())

    np.testing.assert_allclose(dx[index], (loss(1e-6) - loss(-1e-6)) / 2e-6, rtol=1e-5, atol=1e-7)


@for_each_target
def test_groups_of_the_last_axis_are_those_of_the_turned_array(target):
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 8))
    turned = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    gamma, beta = np.linspace(1, 2, 8), np.linspace(-1, 1, 8)
    n = fo.normalization
    with fo.target(target):
        y, mean, invstd = n.group_norm_forward(x, 4, gamma, beta, channel_axis=-1)
        dx, dgamma, dbeta = n.group_norm_backward(np.sin(x), x, 4, gamma, mean, invstd, channel_axis=-1)
        wanted = n.group_norm_forward(turned, 4, gamma, beta)
        slopes = n.group_norm_backward(np.sin(turned), turned, 4, gamma, *wanted[1:])
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), wanted[0], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(np.moveaxis(dx, -1, 1), slopes[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose([dgamma, dbeta], slopes[1:], rtol=1e-12, atol=1e-13)
