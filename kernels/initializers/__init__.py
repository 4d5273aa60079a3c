"""The initializers' kernels, their references, and the ways to call them."""
