"""Where a type checker finds `fastopt.kernels`: the folder `kernels/`, which setuptools maps to that name."""
