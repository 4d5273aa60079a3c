"""In a process with NUMBA_ENABLE_CUDASIM=1: kernels in numba-cuda's simulator, against their text on the host."""

import host
import numpy as np
import recipes
from numba import cuda as simulator

from fastopt.kernels.losses import cuda as losses
from fastopt.kernels.losses.cuda_rows import Kinds
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.optimizers import cuda as optimizers
from fastopt.kernels.runtime import cuda_compile, jit

SIZES = (1, 33, 300)


class Table:
    """Stands for a pointer table: [k] is the k-th array."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __getitem__(self, k):
        return self.arrays[k]


def simulate(kernel, jobs, scalars):
    text = kernel.text("simulator")
    folder = jit.cache_folder() / "cuda_simulated" / cuda_compile.key(text)
    module = jit._import(jit._write(folder, text), f"simulated_{cuda_compile.key(text)}")
    rest, blocks = host.tables(kernel, jobs, [scalars], words=recipes.WORDS)
    tables = [Table([job[name] for job in jobs for name in kernel.table])] * host.POINTER_TABLES
    with np.errstate(all="ignore"):
        simulator.jit(module.kernel)[blocks, 256](*tables, *[array.ravel() for array in rest])
    return rest[-1]


def compare(kernel, jobs, scalars):
    found = recipes.copies(jobs)
    sums = host.run(kernel, jobs, [scalars], words=recipes.WORDS)
    measured = simulate(kernel, found, scalars)
    assert recipes.different(jobs, found) == [], kernel.name
    np.testing.assert_array_equal(measured, sums, kernel.name)
    print("same:", kernel.name)


def main():
    rng = np.random.default_rng(0)
    for name, options in (("adam", {}), ("lion", {"clip": True, "decay": True, "average": True})):
        recipe = recipes.recipe(name, **options)
        kernel = optimizers.elements(recipe, zero=bool(options), stats=bool(options))
        rule = rng.uniform(0.1, 0.9, len(recipe.kernel.scalars))
        scalars = [*recipes.STAGES.values(), *recipes.WORDS, *rule]
        compare(kernel, recipes.jobs(recipe, SIZES, rng, special=False), scalars)
    kernel = losses.elements(KERNELS["huber"], Kinds("float32", "float32", "float32"), True)
    jobs = [{key: rng.uniform(size=n).astype(np.float32) for key in ("y_true", "y_pred", "gradient")} for n in SIZES]
    compare(kernel, jobs, [0.5, 0.3])


if __name__ == "__main__":
    main()
