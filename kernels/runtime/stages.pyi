import numpy as np

STREAMED_BYTES: int
GATHER: dict[int, int]
SCATTER: dict[int, int]
STREAM: dict[int, int]
WIDEN: dict[np.dtype, int]
