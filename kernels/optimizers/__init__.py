"""The optimizers' kernels, their references, and the ways to call them."""
