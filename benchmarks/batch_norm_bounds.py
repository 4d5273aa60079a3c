"""What bounds batch norm: bytes moved a second, streamed stores beside plain ones, one thread beside all.

python benchmarks/batch_norm_bounds.py

Results of 8 MiB and more go around the cache (kernels/runtime/stream.h), smaller ones through it. So "plain" does as
much work in pieces of the batch below 8 MiB, on the same memory. A copy of as many bytes is timed in the same turns.
Bytes are those that cross memory at the least: x in and y out forward, x and dy in and dx out backward. Run it on a
quiet machine.
"""

from functools import partial
from itertools import pairwise

import numpy as np

import fastopt as fo
from fastopt.cli.bench.clock import Job, interleave

ROUNDS = 31
SHAPES = (((32, 64, 56, 56), 1), ((32, 56, 56, 64), -1), ((4096, 1024), 1), ((64, 256, 14, 14), 1))
PLAIN = 7 << 20  # bytes of a piece's result


def works(shape, axis):
    """Return what is timed, by name, each with the bytes it moves."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    y, dx = np.empty_like(x), np.empty_like(x)
    channels = shape[axis]
    gamma, beta = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    norm = fo.normalization
    _, mean, invstd = norm.batch_norm_forward(x, gamma, beta, channel_axis=axis)
    count = -(-x.nbytes // PLAIN)
    edges = np.linspace(0, len(x), count + 1).astype(int)
    pieces = [slice(a, b) for a, b in pairwise(edges)]

    def forward(parts):
        for part in parts:
            norm.batch_norm_forward(x[part], gamma, beta, channel_axis=axis, out=y[part])

    def backward(parts):
        for part in parts:
            norm.batch_norm_backward(dy[part], x[part], gamma, mean, invstd, channel_axis=axis, out=dx[part])

    whole = [slice(None)]
    return {
        "copy": (partial(np.copyto, y, x), 2 * x.nbytes),
        "forward, streamed": (partial(forward, whole), 2 * x.nbytes),
        "forward, plain": (partial(forward, pieces), 2 * x.nbytes),
        "backward, streamed": (partial(backward, whole), 3 * x.nbytes),
        "backward, plain": (partial(backward, pieces), 3 * x.nbytes),
    }


def main() -> None:
    most = fo.get_num_threads()
    for shape, axis in SHAPES:
        for threads in sorted({1, most}):
            fo.set_num_threads(threads)
            rows = works(shape, axis)
            times = interleave([Job(work) for work, _ in rows.values()], ROUNDS)
            for (name, (_, nbytes)), seconds in zip(rows.items(), times, strict=True):
                low, middle, high = np.percentile(seconds, [20, 50, 80]) * 1e3
                place = f"{shape!s:20} channels {axis:2} threads {threads} {name:20}"
                print(f"{place} {low:6.2f} {middle:6.2f} {high:6.2f} ms {nbytes / middle / 1e6:5.1f} GB/s")
    fo.set_num_threads(most)


if __name__ == "__main__":
    main()
