"""Metrics under JAX: fastopt's own values, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastopt as fo
from fastopt.jax import metrics

RNG = np.random.default_rng(0)
SIZES = [3, 1000, 100_003]
BINARY = ["auc", "average_precision", "accuracy", "log_loss", "precision", "recall", "f1_score"]


def scores(n):
    y = RNG.integers(0, 2, n)
    y[:2] = 0, 1
    return y, RNG.random(n).round(2).astype(np.float32), RNG.random(n).astype(np.float32)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_one_class(name, n, weighted):
    y, p, w = scores(n)
    w = (w,) if weighted else ()
    own = fo.metrics.f1 if name == "f1_score" else getattr(fo.metrics, name)
    options = {"zero_division": 0.0} if name in ("precision", "recall", "f1_score") else {}
    np.testing.assert_allclose(getattr(metrics, name)(y, p, *w), own(y, p, *w, **options), rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 5, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes(classes, weighted):
    y, p = RNG.integers(0, classes, 3000), RNG.dirichlet(np.ones(classes), 3000).astype(np.float32)
    w = RNG.random(3000).astype(np.float32)
    given = (y, p, w) if weighted else (y, p)
    for name, options in (
        ("accuracy", {}),
        ("log_loss", {}),
        ("sparse_top_k_categorical_accuracy", {"k": 3 if classes > 3 else 1}),
    ):
        wanted = getattr(fo.metrics, name)(*given, **options)
        np.testing.assert_allclose(getattr(metrics, name)(*given, **options), wanted, rtol=2e-6)
    found = metrics.confusion_matrix(*given, num_classes=classes)
    np.testing.assert_allclose(found, fo.metrics.confusion_matrix(*given), rtol=1e-6)
    labels = p.argmax(axis=1)
    np.testing.assert_allclose(
        metrics.confusion_matrix(y, labels, *given[2:], num_classes=classes), found, rtol=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "float32"])
def test_labels_of_any_type(dtype):
    y, p, _ = scores(100)
    np.testing.assert_array_equal(metrics.auc(y.astype(dtype), p), metrics.auc(y, p))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_scores_are_those_of_float32(dtype):
    y, p, _ = scores(100)
    p = jnp.asarray(p, dtype)
    assert metrics.auc(y, p).dtype == jnp.float32
    np.testing.assert_array_equal(metrics.auc(y, p), metrics.auc(y, p.astype(jnp.float32)))


def test_float64_where_jax_has_it():
    y, p, _ = scores(100)
    with jax.enable_x64(True):
        assert float(metrics.auc(y, p.astype(np.float64))) == fo.metrics.auc(y, p.astype(np.float64))


def test_vmap_scan_and_a_program():
    many = [scores(50) for _ in range(3)]
    y, p = (jnp.stack([each[k] for each in many]) for k in range(2))
    wanted = [metrics.auc(*each[:2]) for each in many]
    np.testing.assert_array_equal(jax.vmap(metrics.auc)(y, p), wanted)
    np.testing.assert_array_equal(jax.vmap(metrics.auc, (0, None))(y, p[0])[0], wanted[0])
    _, scanned = jax.jit(lambda y, p: jax.lax.scan(lambda carry, yp: (carry, metrics.auc(*yp)), 0, (y, p)))(y, p)
    np.testing.assert_array_equal(scanned, wanted)


def test_arguments_stay_as_they_were():
    y, p, w = map(jnp.asarray, scores(1000))
    before = [np.array(x) for x in (y, p, w)]
    jax.jit(metrics.auc)(y, p, w)
    for x, was in zip((y, p, w), before, strict=True):
        np.testing.assert_array_equal(x, was)


@pytest.mark.parametrize(
    ("y", "p"),
    [([0, 0, 0], [0.1, 0.2, 0.3]), ([1, 1, 1], [0.1, 0.2, 0.3]), ([0, 1, 2], [0.1, 0.2, 0.3]),
     ([0, 1, -1], [0.1, 0.2, 0.3]), ([0, 1, 1], [0.1, np.nan, 0.3])],
)  # fmt: skip
def test_what_is_not_defined_is_nan(y, p):
    assert np.isnan(metrics.auc(jnp.array(y), jnp.array(p)))


def test_labels_of_no_class_are_nan():
    p = jnp.full((3, 4), 0.25)
    for y in ([0, 1, 4], [0, -1, 2]):
        assert np.isnan(metrics.confusion_matrix(jnp.array(y), p, num_classes=4)).all()
        assert np.isnan(metrics.log_loss(jnp.array(y), p))
        assert np.isnan(metrics.accuracy(jnp.array(y), p))
        assert np.isnan(metrics.sparse_top_k_categorical_accuracy(jnp.array(y), p))
    assert np.isnan(metrics.confusion_matrix(jnp.array([0, 9]), jnp.array([0, 1]), num_classes=3)).all()


def test_a_metric_has_no_gradient():
    y, p, _ = scores(20)
    assert not jax.grad(lambda p: metrics.auc(y, p) + metrics.log_loss(y, p))(p).any()


@pytest.mark.parametrize(
    ("name", "arguments", "options", "words"),
    [
        ("auc", ([0, 1], [0, 1]), {}, "y_pred: expected a score for each label, got labels"),
        ("auc", ([0, 1, 1], [0.1, 0.2]), {}, r"y_true: expected shape \(2,\)"),
        ("auc", ([0, 1], [0.1, 0.2], [1.0]), {}, r"sample_weight: expected shape \(2,\)"),
        ("auc", ([0, 1j], [0.1, 0.2]), {}, "y_true: expected integers or bool, got complex64"),
        ("auc", ([], [0.1][:0]), {}, "y_pred: expected at least one sample"),
        ("accuracy", ([0, 1], [1j, 1j]), {}, "y_pred: expected integers, bool or float32"),
        ("accuracy", ([0, 1], [0.1, 0.2]), {"threshold": "x"}, "threshold: expected a"),
        ("confusion_matrix", ([0, 1], [0.1, 0.2]), {"num_classes": 3}, "num_classes: expected 2, as y_pred has it"),
        ("confusion_matrix", ([0, 1], [0, 1]), {"num_classes": 1}, "num_classes: expected an integer ≥ 2"),
        ("sparse_top_k_categorical_accuracy", ([0, 1], [0.1, 0.2]), {}, "y_pred: expected scores"),
        ("sparse_top_k_categorical_accuracy", ([0], [[0.1, 0.2]]), {"k": 0}, "k: expected an integer ≥ 1"),
    ],
)
def test_wrong_arguments_are_one_sentence(name, arguments, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(metrics, name)(*map(jnp.asarray, arguments), **options)
