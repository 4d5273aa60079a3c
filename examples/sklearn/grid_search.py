"""A scikit-learn pipeline with a grid search over perceptrons, with scikit-learn's network and with fastopt's.

    python examples/sklearn/grid_search.py [--epochs 20]

The data are the digits that come with scikit-learn. Needs `pip install 'fastopt[sklearn]'`.
"""

import argparse
import time
import warnings

from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import fastopt.sklearn


def search(network, grid, epochs, data):
    """Return the search's seconds, and the best model's share of right digits among those held out."""
    x_train, x_test, y_train, y_test = data
    model = make_pipeline(MinMaxScaler(), network(max_iter=epochs, random_state=0))
    start = time.perf_counter()
    found = GridSearchCV(model, {f"{network.__name__.lower()}__{name}": grid[name] for name in grid}, cv=3)
    found.fit(x_train, y_train)
    return time.perf_counter() - start, found.score(x_test, y_test), found.best_params_


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs
    warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is what is compared
    data = train_test_split(*load_digits(return_X_y=True), random_state=0)
    steps = 3 * epochs * 6 * 3  # folds, epochs, batches of 200, combinations: about
    shared = {"alpha": [1e-4, 1e-2, 1.0]}
    for name, network in (("scikit-learn", neural_network.MLPClassifier), ("fastopt", fastopt.sklearn.MLPClassifier)):
        seconds, score, best = search(network, shared, epochs, data)
        print(f"{name:>12}: {1e3 * seconds / steps:6.2f} ms a step, {100 * score:.1f}% of digits, {best}")
    more = {"batch_norm": [False, True], "optimizer": [None, "AdamW", "RMSprop"]}
    _, score, best = search(fastopt.sklearn.MLPClassifier, more, epochs, data)
    print(f"with choices that scikit-learn has not: {100 * score:.1f}% of digits, {best}")


if __name__ == "__main__":
    main()
