"""The folder of compiled kernels: private, never the working directory, and gone at exit if it is a temporary one."""

import os
import subprocess
import sys

import pytest

ASK = "from fastopt.kernels.runtime.cache import cache_folder; folder = cache_folder(); print(folder, folder.is_dir())"


def ask(folder, code=ASK, **environment):
    """Return what a fresh interpreter in this working directory prints, and the last line of its complaint."""
    kept = {name: value for name, value in os.environ.items() if name not in ("FASTOPT_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder, env=kept | environment, capture_output=True, text=True
    )
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FASTOPT_CACHE_DIR": "{tmp}/mine"}, "mine"),
        ({"FASTOPT_CACHE_DIR": "", "XDG_CACHE_HOME": "{tmp}/xdg"}, "xdg/fastopt"),
        ({"XDG_CACHE_HOME": ""}, "home/.cache/fastopt"),
        ({"XDG_CACHE_HOME": "relative"}, "home/.cache/fastopt"),
        ({}, "home/.cache/fastopt"),
    ],
)
def test_the_folder_by_environment(tmp_path, environment, expected):
    (tmp_path / "work").mkdir()
    environment = {name: value.format(tmp=tmp_path) for name, value in environment.items()}
    assert ask(tmp_path / "work", HOME=str(tmp_path / "home"), **environment) == (f"{tmp_path / expected} True", "")
    assert (tmp_path / expected).stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "work").iterdir()) == []


def test_without_a_home_it_is_temporary_and_removed_at_exit(tmp_path):
    (tmp_path / "work").mkdir()
    code = f"import os, pathlib; os.path.expanduser = lambda path: path; {ASK}"
    printed, complaint = ask(tmp_path / "work", code, TMPDIR=str(tmp_path))
    folder, was_there = printed.split()
    assert (was_there, complaint) == ("True", "")
    assert folder.startswith(str(tmp_path / "fastopt-"))
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_leaves_its_parents_temporary_folder(tmp_path):
    code = f"""
import os, sys
os.path.expanduser = lambda path: path
{ASK}
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(folder.is_dir())
"""
    assert ask(tmp_path, code, TMPDIR=str(tmp_path))[0].split()[-1] == "True"


def test_a_folder_that_others_can_write_into_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    printed, complaint = ask(tmp_path, FASTOPT_CACHE_DIR=str(shared))
    assert printed == ""
    assert complaint == (
        "OSError: FASTOPT_CACHE_DIR: expected a private folder that can be written, got "
        f"{str(shared)!r}: others can write into it (chmod 700 makes it private)"
    )
    (tmp_path / "xdg").mkdir()
    shared.rename(tmp_path / "xdg" / "fastopt")
    printed, complaint = ask(tmp_path, XDG_CACHE_HOME=str(tmp_path / "xdg"), TMPDIR=str(tmp_path))
    assert (printed.startswith(str(tmp_path / "fastopt-")), complaint) == (True, "")


def test_a_folder_that_can_not_be_made_is_refused_where_it_was_asked_for(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    _, complaint = ask(tmp_path, FASTOPT_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert complaint.startswith("OSError: FASTOPT_CACHE_DIR: expected a private folder that can be written, got ")
