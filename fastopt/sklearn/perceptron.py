"""scikit-learn's multi-layer perceptrons, trained by fastopt's losses, norms and optimizers.

They are scikit-learn's classes with another inner loop: parameters, attributes, validation and predictions are theirs.
"""

import warnings
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches, shuffle
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import validate_data

from fastopt import initializers, normalization
from fastopt.sklearn.training import ACTIVATIONS, ELEMENTWISE, OPTIMIZERS, Batches, Steps

MORE = {
    "batch_norm": ["boolean"],
    "optimizer": [StrOptions(set(OPTIMIZERS)), None],
    "initializer": [StrOptions(set(initializers.__all__)), None],
}
OUTPUTS = {
    "identity": lambda z: z,
    "logistic": expit,
    "softmax": lambda z: softmax(z, axis=1),
    "exp": np.exp,
}


class _Trained:
    """The inner loop, in the place of scikit-learn's."""

    norms_: Any = ()

    def _initialize(self: Any, y: np.ndarray, layer_units: list[Any], dtype: Any) -> None:
        if self.solver == "lbfgs" and (self.batch_norm or self.optimizer is not None or self.loss in ELEMENTWISE):
            raise ValueError(
                "solver: expected 'adam' or 'sgd' with batch_norm, an optimizer, or this loss, got solver='lbfgs'"
            )
        super()._initialize(y, layer_units, dtype)  # type: ignore[misc]
        self.norms_ = []
        if self.batch_norm:
            self.norms_ = [normalization.BatchNorm(width, dtype=np.dtype(dtype).name) for width in layer_units[1:-1]]
        if self.initializer is None:
            return
        draw = getattr(initializers, self.initializer)
        for coef, intercept in zip(self.coefs_, self.intercepts_, strict=True):
            seed = {} if self.initializer in ("zeros", "ones") else {"seed": int(self._random_state.randint(2**31 - 1))}
            coef[...] = draw(coef.shape, dtype=coef.dtype, **seed)
            intercept[...] = 0

    def _weights(self: Any, y: np.ndarray, sample_weight: Any) -> Any:
        """Return the weights of samples, class weights among them."""
        return sample_weight

    def _fit_lbfgs(self: Any, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        super()._fit_lbfgs(X, y, self._weights(y, sample_weight), *rest)  # type: ignore[misc]

    def _fit_stochastic(
        self: Any, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any, incremental: bool,
    ) -> None:  # fmt: skip
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        sample_weight = self._weights(y, sample_weight)
        X, y, sample_weight, held_out = self._held_out(X, y, sample_weight)
        n_samples = X.shape[0]
        batch_size = self._batch_size(n_samples)
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = Steps(self)
        dtype = self.coefs_[0].dtype
        w = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype)
        targets = y.argmax(axis=1) if self.out_activation_ == "softmax" else np.ascontiguousarray(y, dtype)
        batches = Batches(self, batch_size, dtype)
        optimizer = self._optimizer.bind(batches.parameters())
        try:
            self._epochs(X, targets, w, held_out, batch_size, batches, optimizer, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        self._optimizer.state = optimizer.state_dict()
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
            for norm, state in zip(self.norms_, self._best_norms, strict=True):
                norm.load_state_dict(state)

    def _batch_size(self: Any, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(np.clip(self.batch_size, 1, n_samples))

    def _held_out(self: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
        """Return what is trained on, and what early stopping looks at."""
        if not self.early_stopping:
            return X, y, sample_weight, (None, None, None)
        classifies = hasattr(self, "_label_binarizer")
        given = (X, y) if sample_weight is None else (X, y, sample_weight)
        parts = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if classifies and self.n_outputs_ == 1 else None,
        )
        X, X_val, y, y_val, *w = parts
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if classifies:
            y_val = self._label_binarizer.inverse_transform(y_val)
        return X, y, w[0] if w else None, (X_val, y_val, w[1] if w else None)

    def _epochs(
        self: Any, X: Any, y: Any, w: Any, held_out: tuple[Any, ...], batch_size: int, batches: Batches, optimizer: Any,
        incremental: bool,
    ) -> None:  # fmt: skip
        n_samples = X.shape[0]
        order = np.arange(n_samples)
        memory = None if issparse(X) else np.empty((batch_size, X.shape[1]), X.dtype)
        self.n_iter_ = 0
        for _ in range(self.max_iter):
            if self.shuffle:
                order = shuffle(order, random_state=self._random_state)
            total = 0.0
            for part in gen_batches(n_samples, batch_size):
                rows, size = order[part] if self.shuffle else part, part.stop - part.start
                if memory is None or not self.shuffle:
                    x = X[rows]
                else:
                    x = np.take(X, rows, axis=0, out=memory[:size], mode="clip")
                total += size * batches.run(x, y[rows], None if w is None else w[rows])
                optimizer.step(batches.gradients())
            self.n_iter_ += 1
            self.loss_ = total / n_samples
            self.t_ += n_samples
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            best = self.best_validation_score_ if self.early_stopping else None
            self._update_no_improvement_count(self.early_stopping, *held_out)
            if self.early_stopping and (self.n_iter_ == 1 or self.best_validation_score_ != best):
                self._best_norms = [norm.state_dict() for norm in self.norms_]
            self._optimizer.iteration_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                if self._optimizer.trigger_stopping(self._why_it_stops(), self.verbose):
                    break
                self._no_improvement_count = 0
            optimizer.lr = self._optimizer.learning_rate
            if incremental:
                break
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def _why_it_stops(self: Any) -> str:
        what = "Validation score" if self.early_stopping else "Training loss"
        epochs = f"{self.n_iter_no_change:d} consecutive epochs."
        return f"{what} did not improve more than tol={self.tol:f} for {epochs}"

    def _forward_pass_fast(self: Any, X: Any, check_input: bool = True) -> np.ndarray:
        if not self.norms_:
            return super()._forward_pass_fast(X, check_input)  # type: ignore[misc]
        h = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False) if check_input else X
        for coef, intercept, norm in zip(self.coefs_, self.intercepts_, (*self.norms_, None), strict=True):
            h = h @ coef + intercept
            if norm is not None:
                h = norm.forward(h, training=False)
                ACTIVATIONS[self.activation](h)
        return OUTPUTS[self.out_activation_](h)


class MLPClassifier(_Trained, theirs.MLPClassifier):
    """Multi-layer perceptron classifier: scikit-learn's, with fastopt's kernels in its inner loop, and more choices.

    Same parameters, attributes, predictions and random numbers as `sklearn.neural_network.MLPClassifier`; weights agree
    with it to rounding, and are the same for any number of threads. Solver "lbfgs" is scikit-learn's own.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in scikit-learn
        All of `sklearn.neural_network.MLPClassifier`.
    batch_norm : bool, default False
        Whether batch normalization stands between each hidden layer and its activation (`norms_`).
    optimizer : str, optional
        The name of a class of `fastopt.optimizers` ("AdamW", "Lion", "RMSprop", ...), with `learning_rate_init` as its
        rate and its own defaults, in the place of the solver's.
    initializer : str, optional
        The name of a function of `fastopt.initializers` ("he_normal", ...) for weights; intercepts are 0 then. By
        default scikit-learn's uniform numbers.
    class_weight : dict, "balanced" or None, default None
        Weights of classes, as in other classifiers of scikit-learn; they multiply weights of samples.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn; also for batch_norm or an optimizer with solver="lbfgs".

    Notes
    -----
    float32 data are trained in float32, all the way. Sparse data are multiplied by scipy. A sample's loss may be any
    number, where scikit-learn clips probabilities, and with them the loss at 36.

    Examples
    --------
    >>> import numpy as np
    >>> from fastopt.sklearn import MLPClassifier
    >>> x = np.random.default_rng(0).standard_normal((200, 4))
    >>> model = MLPClassifier((16,), learning_rate_init=0.1, max_iter=1000, random_state=0).fit(x, x[:, 0] > 0)
    >>> bool(model.score(x, x[:, 0] > 0) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **theirs.MLPClassifier._parameter_constraints, **MORE, "class_weight": [dict, StrOptions({"balanced"}), None],
    }  # fmt: skip

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam", alpha: Any = 0.0001,
        batch_size: Any = "auto", learning_rate: Any = "constant", learning_rate_init: Any = 0.001, power_t: Any = 0.5,
        max_iter: Any = 200, shuffle: Any = True, random_state: Any = None, tol: Any = 1e-4, verbose: Any = False,
        warm_start: Any = False, momentum: Any = 0.9, nesterovs_momentum: Any = True, early_stopping: Any = False,
        validation_fraction: Any = 0.1, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10, max_fun: Any = 15000, batch_norm: Any = False, optimizer: Any = None,
        initializer: Any = None, class_weight: Any = None,
    ):  # fmt: skip
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.initializer = initializer
        self.class_weight = class_weight

    def _weights(self: Any, y: np.ndarray, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError("class_weight: expected None for several labels a sample, got class weights")
        codes = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
        each = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])[codes]
        return each.astype(self.coefs_[0].dtype) if sample_weight is None else each * sample_weight


class MLPRegressor(_Trained, theirs.MLPRegressor):
    """Multi-layer perceptron regressor: scikit-learn's, with fastopt's kernels in its inner loop, and more choices.

    As :class:`MLPClassifier`.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "log_cosh"}, default "squared_error"
        The last three are means over samples and outputs.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in scikit-learn
        All of `sklearn.neural_network.MLPRegressor`.
    batch_norm, optimizer, initializer : optional
        As in :class:`MLPClassifier`.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn; also for batch_norm, an optimizer or one of the last three losses with solver="lbfgs".

    Examples
    --------
    >>> import numpy as np
    >>> from fastopt.sklearn import MLPRegressor
    >>> x = np.random.default_rng(0).standard_normal((200, 2))
    >>> model = MLPRegressor("huber", (32,), max_iter=2000, random_state=0).fit(x, x[:, 0] * 2)
    >>> bool(model.score(x, x[:, 0] * 2) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **theirs.MLPRegressor._parameter_constraints, **MORE,
        "loss": [StrOptions({"squared_error", "poisson", *ELEMENTWISE})],
    }  # fmt: skip

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,), activation: Any = "relu", *,
        solver: Any = "adam", alpha: Any = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001, power_t: Any = 0.5, max_iter: Any = 200, shuffle: Any = True,
        random_state: Any = None, tol: Any = 1e-4, verbose: Any = False, warm_start: Any = False, momentum: Any = 0.9,
        nesterovs_momentum: Any = True, early_stopping: Any = False, validation_fraction: Any = 0.1, beta_1: Any = 0.9,
        beta_2: Any = 0.999, epsilon: Any = 1e-8, n_iter_no_change: Any = 10, max_fun: Any = 15000,
        batch_norm: Any = False, optimizer: Any = None, initializer: Any = None,
    ):  # fmt: skip
        super().__init__(
            loss, hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.initializer = initializer
