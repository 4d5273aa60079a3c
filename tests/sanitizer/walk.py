"""Every op of the table on four threads, then several of them from four Python threads at once: `walk.py FOLDER`.

FOLDER holds the packages `fastopt` and `kernels` as they were built under a sanitizer.
"""

import importlib.util
import sys
import threading
from pathlib import Path

import numpy as np

FOLDER = Path(sys.argv[1])


def take(name, folder):
    """Import a package from this folder, and not the installed one."""
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def largest(op):
    return max(op.shapes, key=lambda shape: np.prod(shape, dtype=int))


def walk(table):
    for op in table.OPS:
        for options in op.options[:2]:
            op.call(options, op.inputs(np.random.default_rng(7), largest(op), "float32", options))
        print(op.family, op.name, largest(op), flush=True)


def at_once(fo, seed):
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(size).astype(np.float32) for size in (100_003, 7, 20_000)]
    optimizer, layer = fo.optimizers.AdamW(params, clip_norm=1.0), fo.normalization.BatchNorm(16)
    x = rng.standard_normal((32, 16, 20, 20)).astype(np.float32)
    for _ in range(30):
        optimizer.step([np.cos(param) for param in params])
        layer.backward(layer.forward(x, training=True))
        fo.metrics.auc(rng.integers(0, 2, 50_000), rng.random(50_000))


def main():
    sys.meta_path = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__ + repr(finder)]
    take("fastopt.kernels", FOLDER / "kernels")
    fo = take("fastopt", FOLDER / "fastopt")
    assert fo.__file__.startswith(str(FOLDER))
    from fastopt import table

    fo.set_num_threads(4)
    walk(table)
    callers = [threading.Thread(target=at_once, args=(fo, seed)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


main()
