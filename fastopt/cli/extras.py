"""What the commands take from the extras, and what they say where it isn't installed."""

import importlib
from types import ModuleType

EXTRAS = {"demo": "cli", "bench": "bench"}  # by command; the other commands need none
PACKAGES = {"sklearn": "scikit-learn"}  # that are not called as they are imported


def need(module: str, command: str) -> ModuleType:
    """Import a module that takes a command's extra, or end with a sentence."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = str(error.name).partition(".")[0]
        if name == "fastopt":
            raise
        raise SystemExit(
            f"fastopt {command}: needs {PACKAGES.get(name, name)}; "
            f"install it with: pip install 'fastopt[{EXTRAS[command]}]'"
        ) from None
