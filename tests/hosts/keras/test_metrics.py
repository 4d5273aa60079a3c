"""fastopt.keras.metrics beside Keras's own."""

import doctest
import inspect

import keras
import numpy as np
import pytest

from fastopt.keras import metrics as ours
from fastopt.keras.metrics import counts

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's to NumPy

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, (40, 3))
SCORES = RNG.random((40, 3)).astype(np.float32)
ROUND = (SCORES * 10).round() / 10  # which lie on thresholds
LOGITS = (8 * SCORES - 4).astype(np.float32)
CASES = [
    *((name, {}, LABELS, SCORES) for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")),
    ("TruePositives", {"thresholds": [0.7, 0.2, 0.5]}, LABELS, ROUND),
    ("FalseNegatives", {"thresholds": [0.0, 0.5, 1.0]}, LABELS, ROUND),
    ("TruePositives", {}, LABELS.astype(np.float32) * 3.0, 2.0 * SCORES),
    ("Precision", {}, LABELS, SCORES),
    ("Precision", {"thresholds": 0.3, "class_id": 1}, LABELS, ROUND),
    ("Precision", {"top_k": 2}, LABELS, SCORES),
    ("Recall", {"top_k": 1, "class_id": 2}, LABELS, SCORES),
    ("Recall", {"thresholds": [0.1, 0.9], "dtype": "float64"}, LABELS, ROUND),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, LABELS, SCORES),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 1}, LABELS, SCORES),
    ("PrecisionAtRecall", {"recall": 0.5, "class_id": 0}, LABELS, SCORES),
    ("RecallAtPrecision", {"precision": 0.5}, LABELS, SCORES),
    *(
        ("AUC", {"curve": curve, "summation_method": method, "num_thresholds": 11}, LABELS, ROUND)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    ("AUC", {"thresholds": [0.3, 0.25, 0.7]}, LABELS, SCORES),
    ("AUC", {"multi_label": True, "label_weights": [0.2, 0.5, 0.3]}, LABELS, SCORES),
    ("AUC", {"multi_label": True, "num_labels": 3, "from_logits": True}, LABELS, LOGITS),
    ("AUC", {"label_weights": [0.2, 0.5, 0.3]}, LABELS, SCORES),
    ("AUC", {}, LABELS[:, 0], SCORES[:, :1]),
    ("AUC", {}, LABELS, 3.0 * SCORES - 1.0),  # outside [0, 1]
    ("Precision", {}, LABELS[:0], SCORES[:0]),
]
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]
WEIGHTS = [None, 0.5, RNG.random(40), RNG.random((40, 1)), RNG.random((40, 3))]


def run(room, name, options, y_true, y_pred, weight):
    metric = getattr(room, name)(**options)
    for part in (slice(0, 15), slice(15, 40)):
        own = weight if np.ndim(weight) == 0 else weight[part]
        metric.update_state(y_true[part], y_pred[part], own)
    return metric


@pytest.mark.parametrize("number", range(len(WEIGHTS)))
@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), CASES, ids=IDS)
def test_results_and_state_are_those_of_keras(name, options, y_true, y_pred, number):
    weight = WEIGHTS[number]
    if np.ndim(weight) == 2 and weight.shape[1] == 3 and (y_true.ndim == 1 or "class_id" in options):
        weight = weight[:, 0]
    try:
        expected = run(keras.metrics, name, options, y_true, y_pred, weight)
    except Exception as error:  # what Keras refuses is refused in its words
        with pytest.raises(type(error)):
            run(ours, name, options, y_true, y_pred, weight)
        return
    found = run(ours, name, options, y_true, y_pred, weight)
    for own, theirs in zip(found.variables, expected.variables, strict=True):
        np.testing.assert_allclose(own.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-5)
    one, other = (keras.ops.convert_to_numpy(metric.result()) for metric in (found, expected))
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("options", "weight"), [({}, np.ones(7)), ({"label_weights": [0.5, 0.5]}, None)])
def test_weights_of_another_shape_are_refused_in_keras_words(options, weight):
    for room in (ours, keras.metrics):
        with pytest.raises(RuntimeError, match="must match the existing size"):
            room.AUC(**options).update_state(LABELS, SCORES, weight)


def test_the_kernels_count(monkeypatch):
    monkeypatch.setattr(keras.metrics.AUC, "update_state", None)
    metric = ours.AUC(num_thresholds=3)
    metric.update_state([0, 1], [0.5, 0.9])
    assert float(metric.result()) == 1.0
    metric = ours.Recall(thresholds=0.5)
    metric.update_state([1, 1], [0.5, 0.9])
    assert float(metric.result()) == 0.5  # a score on a threshold is not above it


@pytest.mark.parametrize("name", ours.__all__)
def test_classes_are_keras_classes_with_their_arguments(name):
    own, theirs = getattr(ours, name), getattr(keras.metrics, name)
    assert issubclass(own, theirs)
    assert inspect.signature(own) == inspect.signature(theirs)
    needed = {"name": "one"} | {key: 0.5 for key in ("specificity", "sensitivity", "recall", "precision")
                                if key in inspect.signature(own).parameters}  # fmt: skip
    one = own(**needed)
    again = keras.metrics.deserialize(keras.metrics.serialize(one))
    assert type(again) is own
    assert again.get_config() == one.get_config() == theirs(**needed).get_config()


def test_a_model_measures_and_is_saved(tmp_path):
    x, y = RNG.standard_normal((64, 8)).astype(np.float32), RNG.integers(0, 2, (64, 1))
    histories = []
    for room in (ours, keras.metrics):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=[room.AUC(name="auc"), room.Precision(name="precision")])
        histories.append(model.fit(x, y, epochs=2, batch_size=16, verbose=0, validation_split=0.25).history)
        if room is ours:
            model.save(tmp_path / "model.keras")
            before = model.evaluate(x, y, verbose=0)
    for key in histories[1]:
        np.testing.assert_allclose(histories[0][key], histories[1][key], rtol=1e-5)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), before, rtol=1e-5)


def test_examples_do_what_they_say():
    result = doctest.testmod(counts)
    assert result.attempted > 0
    assert result.failed == 0
