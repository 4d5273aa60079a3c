"""Options of losses: class weights, z-loss, soft caps, axes and masks, held against torch and against plain calls."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fastopt as fo
from fastopt.table import OPS

L = fo.losses
for_each_target = pytest.mark.parametrize("target", ["cython", "numba", "reference"])
LOSSES = [op for op in OPS if op.family == "losses" and op.name != "linear_cross_entropy"]
for_each_loss = pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in LOSSES])
for_each_width = pytest.mark.parametrize("columns", [5, 40, 1500])


def problem(columns, rows=37, seed=0):
    rng = np.random.default_rng(seed)
    labels, y_pred = rng.integers(0, columns, rows), 3 * rng.standard_normal((rows, columns))
    return labels, (labels[:, None] == np.arange(columns)).astype(float), y_pred, rng.random(columns)


def by_torch(function, y_pred):
    prediction = torch.tensor(y_pred, requires_grad=True)
    value = function(prediction)
    value.backward()
    return value.item(), prediction.grad.numpy()


def close(got, wanted):
    assert got[0] == pytest.approx(wanted[0], rel=1e-12)
    np.testing.assert_allclose(got[1], wanted[1], rtol=1e-10, atol=1e-14)


# ---- class weights


@for_each_target
@for_each_width
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_torch_weighs_distributions_the_same(columns, smoothing, target):
    _, y_true, y_pred, weight = problem(columns)
    wanted = by_torch(
        lambda x: F.cross_entropy(x, torch.tensor(y_true), torch.tensor(weight), label_smoothing=smoothing), y_pred
    )
    loss = L.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, class_weight=weight)
    with fo.target(target):
        close(loss.value_and_grad(y_true, y_pred), wanted)


@for_each_target
@for_each_width
def test_torch_weighs_labels_the_same(columns, target):
    labels, _, y_pred, weight = problem(columns)
    labels[3] = -100
    wanted = by_torch(
        lambda x: F.cross_entropy(x, torch.tensor(labels), torch.tensor(weight), reduction="sum", ignore_index=-100),
        y_pred,
    )
    loss = L.SparseCategoricalCrossentropy(True, ignore_class=-100, reduction="sum", class_weight=weight)
    with fo.target(target):
        close(loss.value_and_grad(labels, y_pred), wanted)
        samples = np.random.default_rng(1).random(len(labels))
        both, _ = loss.value_and_grad(labels, y_pred, samples)
        own = np.where(labels < 0, 0, weight[np.maximum(labels, 0)] * samples)
        plain = L.SparseCategoricalCrossentropy(True, ignore_class=-100, reduction="sum")
        assert both == pytest.approx(plain(labels, y_pred, own), rel=1e-13)


@for_each_target
@for_each_width
@pytest.mark.parametrize("options", [{"from_logits": True}, {"label_smoothing": 0.2}, {"gamma": 0.5}])
def test_a_focal_loss_may_have_a_factor_for_each_class(columns, options, target):
    """With one-hot rows the terms of a sample are those of its class; smoothed ones add up over the classes."""
    labels, y_true, y_pred, alpha = problem(columns)
    if not options.get("from_logits"):
        y_pred = np.exp(y_pred) / np.exp(y_pred).sum(axis=1, keepdims=True)
    with fo.target(target):
        value, gradient = L.CategoricalFocalCrossentropy(alpha, **options).value_and_grad(y_true, y_pred)
        plain = L.CategoricalFocalCrossentropy(1.0, **options)
        if "label_smoothing" not in options:
            wanted = plain.value_and_grad(y_true, y_pred, alpha[labels])
        else:  # equal factors are one factor
            wanted = L.CategoricalFocalCrossentropy(0.7, **options).value_and_grad(y_true, y_pred)
            value, gradient = L.CategoricalFocalCrossentropy(np.full(columns, 0.7), **options).value_and_grad(
                y_true, y_pred
            )
    close((value, gradient), wanted)


def test_factors_of_classes_are_as_many_as_classes():
    _, y_true, y_pred, alpha = problem(5)
    loss = L.CategoricalFocalCrossentropy(alpha[:4], from_logits=True)
    with pytest.raises(ValueError, match=r"^alpha: expected shape \(5,\), got \(4,\)$"):
        loss(y_true, y_pred)
    with pytest.raises(ValueError, match=r"^alpha: expected finite numbers ≥ 0, got -1\.0$"):
        L.CategoricalFocalCrossentropy(-np.ones(3))
    with pytest.raises(
        TypeError, match=r"^alpha: expected a finite number ≥ 0, or an array of one for each class, got list"
    ):
        L.CategoricalFocalCrossentropy([0.25, 0.5])


@for_each_target
def test_weighed_probabilities(target):
    labels, y_true, y_pred, weight = problem(6)
    p = np.exp(y_pred) / np.exp(y_pred).sum(axis=1, keepdims=True)
    with fo.target(target):
        dense = L.CategoricalCrossentropy(class_weight=weight).value_and_grad(y_true, p)
        sparse = L.SparseCategoricalCrossentropy(class_weight=weight).value_and_grad(labels, p)
    close(dense, sparse)
    assert dense[0] == pytest.approx(-(weight[labels] * np.log(p[np.arange(37), labels])).mean(), rel=1e-12)


# ---- smoothed labels


@for_each_target
@for_each_width
def test_torch_smooths_labels_the_same(columns, target):
    labels, _, y_pred, _ = problem(columns)
    labels[3] = -100
    wanted = by_torch(lambda x: F.cross_entropy(x, torch.tensor(labels), label_smoothing=0.2), y_pred)
    with fo.target(target):
        loss = L.SparseCategoricalCrossentropy(True, ignore_class=-100, label_smoothing=0.2)
        close(loss.value_and_grad(labels, y_pred), wanted)
        labels[3] = 0
        plain = L.SparseCategoricalCrossentropy(True, label_smoothing=0.2, z_loss=0.1).value_and_grad(labels, y_pred)
        one_hot = np.eye(columns)[labels]
        dense = L.CategoricalCrossentropy(True, label_smoothing=0.2, z_loss=0.1)
        close(plain, dense.value_and_grad(one_hot, y_pred))


# ---- z-loss and soft cap


@for_each_target
@for_each_width
@pytest.mark.parametrize("cap", [None, 4.0])
@pytest.mark.parametrize("z_loss", [0.0, 0.3])
def test_torchs_formulas_of_bent_logits_are_the_same(columns, cap, z_loss, target):
    labels, y_true, y_pred, _ = problem(columns)

    def formula(x):
        x = x if cap is None else cap * torch.tanh(x / cap)
        return F.cross_entropy(x, torch.tensor(labels)) + z_loss * (torch.logsumexp(x, 1) ** 2).mean()

    wanted = by_torch(formula, y_pred)
    options = {"from_logits": True, "z_loss": z_loss, "logit_softcap": cap}
    with fo.target(target):
        close(L.SparseCategoricalCrossentropy(**options).value_and_grad(labels, y_pred), wanted)
        close(L.CategoricalCrossentropy(**options).value_and_grad(y_true, y_pred), wanted)


# ---- axes


@for_each_target
@pytest.mark.parametrize("axis", [0, 1, -2, 2])
@for_each_loss
def test_any_axis_is_as_good_as_the_last(op, axis, target):
    for options in op.options:
        last = op.inputs(np.random.default_rng(2), (4, 6, 5), "float64", options)
        wide = last["y_pred"].shape
        moved = {name: np.moveaxis(a, -1, axis).copy() if a.shape == wide else a for name, a in last.items()}
        with fo.target(target):
            wanted, turned = op.call(options, last), op.call({**options, "axis": axis}, moved)
            np.testing.assert_array_equal(turned.pop("value"), wanted.pop("value"))
            for name, gradient in turned.items():
                np.testing.assert_array_equal(np.moveaxis(gradient, axis, -1), wanted[name])
                assert gradient.flags.c_contiguous
            again = moved["y_pred"].copy()
            same = op.call({**options, "axis": axis}, {**moved, "y_pred": again, "out": again})
            assert same["gradient"] is again
            np.testing.assert_array_equal(again, turned["gradient"])


@for_each_loss
def test_samples_along_another_axis_must_be_of_one_shape(op):
    arrays = op.inputs(np.random.default_rng(2), (4, 6, 5), "float64", {})
    short = {**arrays, "y_true": arrays["y_true"][:3]}
    with pytest.raises(ValueError, match=r"^y_true: expected shape \("):
        op.call({"axis": 0}, short)


def test_torchs_axis_is_1():
    rng = np.random.default_rng(3)
    y_pred, labels = rng.standard_normal((4, 5, 3, 2)), rng.integers(0, 5, (4, 3, 2))
    wanted = by_torch(lambda x: F.cross_entropy(x, torch.tensor(labels)), y_pred)
    close(L.SparseCategoricalCrossentropy(True, axis=1).value_and_grad(labels, y_pred), wanted)


# ---- masks


@for_each_target
@for_each_loss
def test_a_masked_sample_is_as_if_it_were_not_there(op, target):
    rng = np.random.default_rng(4)
    mask = rng.random(37) < 0.6
    for options in op.options:
        arrays = op.inputs(rng, (37, 9), "float64", options)
        kept = {name: array[mask] for name, array in arrays.items()}
        arrays["y_pred"][~mask] = np.nan
        with fo.target(target):
            wanted, got = op.call(options, kept), op.call(options, {**arrays, "mask": mask})
        each = options.get("reduction") == "none"
        for name, found in got.items():
            alone = each or name != "value"
            np.testing.assert_allclose(found[mask] if alone else found, wanted[name], rtol=1e-13, atol=1e-17)
            assert not (alone and found[~mask].any())


@for_each_target
def test_a_mask_may_hide_labels_that_are_none(target):
    labels, _, y_pred, _ = problem(9)
    mask = np.arange(37) % 3 > 0
    labels[~mask] = 10**6
    loss = L.SparseCategoricalCrossentropy(True)
    with fo.target(target):
        value, _ = loss.value_and_grad(labels, y_pred, mask=mask)
        assert value == pytest.approx(loss(labels[mask], y_pred[mask]), rel=1e-13)
        nothing, gradient = loss.value_and_grad(labels, y_pred, mask=np.zeros(37, bool))
    assert nothing == 0.0
    assert not gradient.any()


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (np.ones(36, bool), ValueError, "mask.*shape"),
        (np.ones(37), TypeError, "mask.*bool"),
        ([True], TypeError, "mask"),
    ],
)
def test_wrong_masks_are_refused(mask, error, words):
    labels, _, y_pred, _ = problem(9)
    with pytest.raises(error, match=words):
        L.SparseCategoricalCrossentropy(True).value_and_grad(labels, y_pred, mask=mask)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_and_a_gradient_in_place_give_the_same_bits(dtype):
    labels, _, y_pred, weight = problem(1500, 300)
    y_pred, weight = y_pred.astype(dtype), weight.astype(dtype)
    loss = L.SparseCategoricalCrossentropy(True, class_weight=weight, z_loss=0.1, logit_softcap=3.0)
    mask = labels % 5 > 0
    found = []
    before = fo.get_num_threads()
    for threads in (1, 2, 3, 7):
        fo.set_num_threads(threads)
        found.append(loss.value_and_grad(labels, y_pred, mask=mask))
    fo.set_num_threads(before)
    place = y_pred.copy()
    found.append(loss.value_and_grad(labels, place, out=place, mask=mask))
    for value, gradient in found[1:]:
        assert value == found[0][0]
        np.testing.assert_array_equal(gradient, found[0][1])
