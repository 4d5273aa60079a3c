"""Many sets of arrays for one kernel: the pointer table is kept between launches, only gradients are bound anew."""

import numpy as np

from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.kernel import Kernel, address
from fastopt.kernels.runtime.launch import bind

PARAM, GRAD = 0, 1  # columns of an optimizer's buffers; its state follows


class Jobs:
    """The parameters that share a kernel and a dtype, whatever group they are of.

    Parameters
    ----------
    kernel : Kernel
        Its buffers are the parameter, the gradient, and the state.
    params, states : list of array, list of list of array
        One entry per job; states are C-contiguous.
    rows : list of int
        Each job's row in the table of scalars.
    """

    def __init__(self, kernel: Kernel, params: list[np.ndarray], states: list[list[np.ndarray]], rows: list[int]):
        self.kernel, self.params, self.states = kernel, params, states
        self.like = [np.broadcast_to(np.empty((), param.dtype), param.shape) for param in params]  # as they should be
        self.dtype = str(params[0].dtype)
        self.rows, self.groups = np.array(rows, np.int64), sorted(set(rows))
        self.units = np.array([param.size for param in params], np.int64)
        self.sizes = self.units * params[0].itemsize
        self.pointers = np.zeros((len(params), len(kernel.buffers)), np.uintp)
        for column in range(GRAD + 1, len(kernel.buffers)):
            state = [arrays[column - GRAD - 1] for arrays in states]
            bind(state, state, self.pointers, column)

    def fits(self, grads: list[np.ndarray]) -> bool:
        """Bind parameters and gradients; True if every one is contiguous, as it should be, and ready to run."""
        return (
            bind(self.params, self.like, self.pointers, PARAM, True) < 0
            and bind(grads, self.like, self.pointers, GRAD) < 0
        )

    def run(self, grads: list[np.ndarray], scalars: np.ndarray, target: str, threads: int, fits: bool) -> None:
        """Run the kernel over every job under one parallel region; strided arrays go one by one, block by block."""
        units = self.units
        if not fits:
            units = self.units.copy()
            for job, (param, grad) in enumerate(zip(self.params, grads, strict=True)):
                if param.flags.c_contiguous and grad.flags.c_contiguous:
                    one = self.pointers[job : job + 1]
                    bind([param], [param], one, PARAM, True)
                    bind([grad], [param], one, GRAD)
                else:
                    units[job] = 0
                    self._run_strided(job, grad, scalars[self.rows[job]], target, threads)
        stage = (address(self.kernel, self.dtype, target), tuple(range(len(self.kernel.buffers))), 1, 0, 0)
        plan = pipeline.make_pipeline((stage,), (0,) * len(self.kernel.buffers))
        plan.run(self.pointers, units, pipeline.GRAIN, scalars=scalars, scalars_row=self.rows, threads=threads)

    def _run_strided(self, job: int, grad: np.ndarray, scalars: np.ndarray, target: str, threads: int) -> None:
        buffers = self.kernel.buffers
        pipeline.run(
            [(self.kernel, buffers, 1)],
            dict(zip(buffers, [self.params[job], grad, *self.states[job]], strict=True)),
            int(self.units[job]),
            dtype=self.dtype,
            target=target,
            threads=threads,
            grain=pipeline.GRAIN,
            scalars=scalars.tolist(),
        )
