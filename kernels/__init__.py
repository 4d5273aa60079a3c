"""Kernels, their references, and the runtime that launches them. Installed as `fastopt.kernels`."""

if __name__ != "fastopt.kernels":
    raise ImportError(
        f"this folder is the package fastopt.kernels, but was imported as {__name__!r}: install fastopt "
        "(pip install -e .) and write `import fastopt.kernels`, or move the repository's root off sys.path"
    )
