"""The folder of compiled kernels. What lies there is run, so nobody else may write into it."""

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path


@cache
def cache_folder() -> Path:
    """Return a private folder for compiled kernels.

    FASTOPT_CACHE_DIR's, else `fastopt` in the user's cache (XDG_CACHE_HOME, or .cache at home); where that can't be
    used, a temporary one that is removed when this process exits. Empty variables are as unset, and so is a relative
    XDG_CACHE_HOME (as its specification says): the working directory is never used unless it is named.

    Raises
    ------
    OSError
        If FASTOPT_CACHE_DIR names a folder that can't be used; the message says why.
    """
    asked = os.environ.get("FASTOPT_CACHE_DIR")
    if asked:
        folder = Path(asked).absolute()
        if problem := why_unusable(folder):
            raise OSError(f"FASTOPT_CACHE_DIR: expected a private folder that can be written, got {asked!r}: {problem}")
        return folder
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(home, "fastopt")
    return folder if folder.is_absolute() and why_unusable(folder) is None else _temporary()


def why_unusable(folder: Path) -> str | None:
    """Make a folder if it is missing, and return why compiled kernels can't be kept there, or None."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            return f"it belongs to user {found.st_uid}, not to {os.getuid()}"
        if hasattr(os, "getuid") and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "others can write into it (chmod 700 makes it private)"
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return str(error)


def _temporary() -> Path:
    folder, process = tempfile.mkdtemp(prefix="fastopt-"), os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # not in a forked child: the folder is its parent's
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)
