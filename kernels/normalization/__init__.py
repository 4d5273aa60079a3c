"""The normalizations' kernels, their references, and the ways to call them."""
