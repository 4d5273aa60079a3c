"""What the adapters gain: a host's own way and ours, interleaved in one process.

    python benchmarks/hosts.py [--rounds 7] [--small]

Prints a table in Markdown: work, ours and theirs (medians), their ratio, and the goal. NumPy's BLAS should be as it is:
unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE for this command. A host that is not installed is left out, and named.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np


@dataclass(frozen=True)
class Row:
    """A piece of work, done by ours and by theirs; `goal` is the ratio to reach."""

    work: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float
    calls: int = 1  # in one timing


def seconds(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def sklearn_rows(small: bool) -> Iterator[Row]:
    from sklearn import metrics, neural_network
    from sklearn.datasets import load_digits

    import fastopt.sklearn as ours

    rng = np.random.default_rng(0)
    for n, goal in ((1000, 5.0), (10_000 if small else 1_000_000, 15.0)):
        y, p = rng.integers(0, 2, n), rng.random(n)
        y5, q5, proba = rng.integers(0, 5, n), rng.integers(0, 5, n), rng.dirichlet(np.ones(5), n)
        for name, given, how in (
            ("roc_auc_score", (y, p), {}),
            ("average_precision_score", (y, p), {}),
            ("precision_recall_fscore_support", (y5, q5), {"average": "macro"}),
            ("confusion_matrix", (y5, q5), {}),
            ("accuracy_score", (y5, q5), {}),
            ("log_loss", (y5, proba), {}),
            ("top_k_accuracy_score", (y5, proba), {}),
            ("brier_score_loss", (y, p), {}),
            ("mean_squared_error", (p, p[::-1].copy()), {}),
        ):
            one, other = getattr(ours, name), getattr(metrics, name)
            yield Row(
                f"sklearn {name}, {n}",
                lambda one=one, given=given, how=how: one(*given, **how),
                lambda other=other, given=given, how=how: other(*given, **how),
                goal,
                calls=20 if n == 1000 else 1,
            )
    x, y = load_digits(return_X_y=True)
    large, labels = rng.standard_normal((2000 if small else 100_000, 100)), None
    labels = (large[:, :10] @ rng.standard_normal((10, 5))).argmax(axis=1)
    for dtype, goal in ((np.float64, 3.0), (np.float32, 2.5)):
        for what, layers, epochs, a, b in (
            ("digits, (100,)", (100,), 2 if small else 20, (x / 16).astype(dtype), y),
            ("100 000 × 100, (256, 256)", (256, 256), 1 if small else 3, large.astype(dtype), labels),
        ):

            def fit(kind, layers=layers, epochs=epochs, a=a, b=b):
                return kind(layers, max_iter=epochs, random_state=0).fit(a, b)

            yield Row(
                f"sklearn MLPClassifier.fit, {what}, {np.dtype(dtype)}, {epochs} epochs",
                lambda fit=fit: fit(ours.MLPClassifier),
                lambda fit=fit: fit(neural_network.MLPClassifier),
                goal,
            )


def jax_rows(small: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp
    import optax

    from fastopt.jax import losses, optimizers

    rng = np.random.default_rng(0)
    rows, columns = (128, 1000) if small else (2048, 32000)
    logits = jnp.asarray(rng.standard_normal((rows, columns)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, columns, rows), jnp.int32)

    def gradient(module):
        loss = module.softmax_cross_entropy_with_integer_labels
        run = jax.jit(jax.value_and_grad(lambda x: loss(x, labels).mean()))
        return lambda: jax.block_until_ready(run(logits))

    yield Row(f"jax cross-entropy and gradient, {rows} × {columns}", gradient(losses), gradient(optax), 4.0)
    for count, size, goal in ((1000, 1000, 5.0), (1, 100_000 if small else 20_000_000, 0.9)):
        start = [jnp.asarray(rng.standard_normal(size), jnp.float32) for _ in range(count)]
        grads = [jnp.asarray(rng.standard_normal(size), jnp.float32) for _ in range(count)]
        yield Row(
            f"jax AdamW, {count} leaves of {size}",
            _stepping(optimizers.adamw(1e-3).apply, optimizers.adamw(1e-3).init, start, grads),
            _stepping(_optax_apply(optax.adamw(1e-3)), optax.adamw(1e-3).init, start, grads),
            goal,
        )


def _optax_apply(transformation):
    import optax

    def apply(params, state, grads):
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return apply


def _stepping(apply, init, start, grads) -> Callable[[], object]:
    """Return a step that donates parameters and state, and keeps what it returns for the next one."""
    import jax

    step = jax.jit(apply, donate_argnums=(0, 1))
    kept = [jax.tree.map(lambda leaf: leaf.copy(), start), init(start)]

    def run():
        kept[:] = step(*kept, grads)
        return jax.block_until_ready(kept)

    return run


def keras_rows(small: bool) -> Iterator[Row]:
    os.environ.setdefault("KERAS_BACKEND", "torch")  # where the kernels read the tensors
    import keras
    import torch

    import fastopt.keras as ours

    rng = np.random.default_rng(0)

    def tensor(*shape):
        return torch.tensor(rng.standard_normal(shape), dtype=torch.float32)

    def slope(call, x):
        def run():
            x.grad = None
            call(x).backward()

        return run

    for rows, columns, goal in ((64, 10, 1.0), (512, 100, 1.2), (256, 1000, 1.5) if small else (2048, 10_000, 1.5)):
        logits, labels = tensor(rows, columns).requires_grad_(), torch.tensor(rng.integers(0, columns, rows))
        losses = [room.losses.SparseCategoricalCrossentropy(from_logits=True) for room in (ours, keras)]
        own, theirs = (slope(lambda x, loss=loss, labels=labels: loss(labels, x), logits) for loss in losses)
        calls = 100 if rows * columns < 100_000 else 1
        yield Row(f"keras cross-entropy and gradient, {rows} × {columns}", own, theirs, goal, calls)
    for name in ("AdamW", "SGD", "Lamb"):
        for count, size in ((8, 1000), (100, 10_000), (1, 100_000 if small else 10_000_000)):
            steps = []
            for room in (ours, keras):
                variables = [keras.Variable(tensor(size)) for _ in range(count)]
                optimizer, grads = getattr(room.optimizers, name)(), [tensor(size) for _ in variables]
                optimizer.build(variables)
                steps.append(lambda optimizer=optimizer, grads=grads: optimizer.apply(grads))
            yield Row(f"keras {name}, {count} variables of {size}", *steps, 1.0, calls=20 if size < 100_000 else 1)
    x = tensor(8, 16, 16, 32) if small else tensor(64, 32, 32, 64)
    for name, options in (("BatchNormalization", {}), ("GroupNormalization", {"groups": 8}), ("LayerNormalization", {}),
                          ("RMSNormalization", {})):  # fmt: skip
        runs = []
        for room in (ours, keras):
            layer = getattr(room.layers, name)(**options)
            layer.build(tuple(x.shape))
            how = {"training": True} if name == "BatchNormalization" else {}
            runs.append(slope(lambda x, layer=layer, how=how: layer(x, **how).sum(), x.clone().requires_grad_()))
        yield Row(f"keras {name} and gradient, {' × '.join(map(str, x.shape))}", *runs, 1.0)
    for n in (256, 10_000 if small else 1_000_000):
        y, p = torch.tensor(rng.integers(0, 2, n)), torch.tensor(rng.random(n), dtype=torch.float32)
        for name in ("AUC", "Precision"):
            own, theirs = (getattr(room.metrics, name)().update_state for room in (ours, keras))
            yield Row(
                f"keras {name}.update_state, {n}",
                lambda own=own, y=y, p=p: own(y, p),
                lambda theirs=theirs, y=y, p=p: theirs(y, p),
                1.0,
                calls=20 if n < 1000 else 1,
            )


HOSTS = {"sklearn": sklearn_rows, "jax": jax_rows, "keras": keras_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--host", choices=HOSTS, help="one host alone")
    parser.add_argument("--small", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # a fixed number of epochs is what is compared
    print("| work | ours | theirs | ratio | goal |\n|---|--:|--:|--:|--:|")
    for host, rows in HOSTS.items():
        if arguments.host not in (None, host):
            continue
        if find_spec(host) is None:
            print(f"| {host} is not installed | | | | |")
            continue
        for row in rows(arguments.small):
            row.ours(), row.theirs()
            times = [(seconds(row.ours, row.calls), seconds(row.theirs, row.calls)) for _ in range(arguments.rounds)]
            own, other = (statistics.median(column) for column in zip(*times, strict=True))
            print(
                f"| {row.work} | {1e3 * own:.3g} ms | {1e3 * other:.3g} ms | {other / own:.2f} | {row.goal} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
