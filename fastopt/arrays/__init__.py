"""Work on many arrays at once, under one parallel region: scaling, sums, norms, and whether all is finite."""

from fastopt.arrays.foreach import all_finite, axpby, global_norm, norms, scale

__all__ = ["all_finite", "axpby", "global_norm", "norms", "scale"]
