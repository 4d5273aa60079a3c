"""The losses' kernels, their references, and the ways to call them."""
