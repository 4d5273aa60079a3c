"""State in files: whole or not at all."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastopt as fo
from fastopt.optimizers import checkpoint

MIXED = {"state_dtype": "8bit", "ema_decay": 0.9}


def trained(steps, **options):
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((80, 90)).astype(np.float32), "b": np.zeros(7), "s": np.ones(())}
    optimizer = fo.optimizers.AdamW(params, **options)
    for _ in range(steps):
        optimizer.step({name: rng.standard_normal(p.shape).astype(p.dtype) for name, p in params.items()})
    return optimizer


def held(optimizer):
    return optimizer.steps, optimizer.groups, {
        (i, name): (array.dtype, array.shape, array.tobytes())
        for i, state in enumerate(optimizer.state)
        for name, array in state.items()
    }  # fmt: skip


@pytest.mark.parametrize("options", [{}, MIXED, {"state_dtype": "bfloat16"}, {"amsgrad": True, "betas": (0.8, 0.95)}])
def test_what_is_saved_is_loaded(tmp_path, options):
    optimizer, other = trained(3, **options), trained(0, **options)
    optimizer.save(tmp_path / "adamw.safetensors")
    other.load(str(tmp_path / "adamw.safetensors"))
    assert held(other) == held(optimizer)
    assert os.listdir(tmp_path) == ["adamw.safetensors"]


def test_carried_numbers_are_saved(tmp_path):
    param, other = np.ones(3), fo.optimizers.NAdam(np.ones(3))
    optimizer = fo.optimizers.NAdam(param)
    for _ in range(3):
        optimizer.step(np.ones(3))
    optimizer.save(tmp_path / "nadam")
    other.load(tmp_path / "nadam")
    assert other.carried == optimizer.carried
    assert held(other) == held(optimizer)


def test_a_schedule_stays_with_its_owner(tmp_path):
    optimizer = fo.optimizers.SGD(np.ones(2), lr=lambda step: 0.5)
    optimizer.save(tmp_path / "sgd")
    other = fo.optimizers.SGD(np.ones(2), lr=lambda step: 0.25)
    other.load(tmp_path / "sgd")
    assert other.lr == 0.25


@pytest.mark.parametrize("keep", [0, 7, 100, 2000, -1])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / "adamw"
    trained(2).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    optimizer = trained(1)
    before = held(optimizer)
    with pytest.raises(ValueError, match=r"path: expected a whole file that Optimizer\.save wrote, got one that errs"):
        optimizer.load(path)
    assert held(optimizer) == before


def test_foreign_and_mismatched_files_are_refused(tmp_path):
    safetensors.numpy.save_file({"x": np.ones(2)}, tmp_path / "foreign")
    fo.optimizers.Adam(np.ones(3)).save(tmp_path / "adam")
    fo.optimizers.AdamW(np.ones(3)).save(tmp_path / "smaller")
    trained(1, state_dtype="bfloat16").save(tmp_path / "short")
    optimizer = trained(1)
    before = held(optimizer)
    for name, words in (
        ("foreign", "path: expected a file of the format 'fastopt.optimizer.1', got 'another'"),
        ("adam", "state_dict: expected the state of AdamW, got 'Adam'"),
        ("smaller", r"state_dict\['state'\]: expected the parameters"),
        ("short", "expected float32, got bfloat16"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            optimizer.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"path: expected a file that Optimizer\.save wrote, got no file"):
        optimizer.load(tmp_path / "none")
    assert held(optimizer) == before


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "adamw"
    first, second = trained(1), trained(2)
    first.save(path)

    def full(tensors, place, metadata):
        place.write_bytes(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(OSError, match="no space left"):
        second.save(path)
    assert os.listdir(tmp_path) == ["adamw"]
    other = trained(0)
    other.load(path)
    assert held(other) == held(first)


def test_a_kill_in_the_middle_of_a_save_loses_nothing(tmp_path):
    code = (
        "import sys, numpy as np, fastopt as fo\n"
        "opt = fo.optimizers.AdamW(np.ones(200_000, np.float32))\n"
        "opt.save(sys.argv[1]); print('saved', flush=True)\n"
        "while True:\n    opt.step(np.ones(200_000, np.float32)); opt.save(sys.argv[1])"
    )
    path = tmp_path / "adamw"
    for pause in (0.0, 0.003, 0.011, 0.05):
        worker = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        assert worker.stdout.readline() == "saved\n"
        time.sleep(pause)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        optimizer = fo.optimizers.AdamW(np.ones(200_000, np.float32))
        optimizer.load(path)  # some step's file, whole
        np.testing.assert_allclose(optimizer.state[0]["exp_avg"], 1 - 0.9**optimizer.steps, rtol=1e-5)


# ---- what a file system does


def test_a_file_that_can_not_be_whole_is_an_os_error(tmp_path):
    path, optimizer = tmp_path / "adamw", trained(1)
    optimizer.save(path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"while the state was written.*adamw") as raised:
            optimizer.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ["adamw"]
    assert path.read_bytes() == before


def test_a_full_disk_is_told_by_its_number(tmp_path, monkeypatch):
    def full(tensors, place, metadata):
        raise safetensors.SafetensorError("Error while serializing: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        trained(0).save(tmp_path / "adamw")
    assert raised.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


def test_no_folder_is_no_place(tmp_path):
    with pytest.raises(FileNotFoundError):
        trained(0).save(tmp_path / "none" / "adamw")


def test_what_a_killed_save_left_goes_with_the_next_one(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, running, other = (
        tmp_path / f".{name}.{checkpoint._host()}.{number}.0123456789abcdef.part"
        for name, number in (("adamw", dead.pid), ("adamw", os.getppid()), ("adam", dead.pid))
    )
    for path in (left, running, other):
        path.write_bytes(b"half of it")
    trained(0).save(tmp_path / "adamw")
    assert sorted(os.listdir(tmp_path)) == sorted(["adamw", running.name, other.name])


def test_a_file_has_the_mode_of_the_umask_or_of_the_old_one(tmp_path):
    before = os.umask(0o027)
    try:
        trained(0).save(tmp_path / "adamw")
        assert (tmp_path / "adamw").stat().st_mode & 0o777 == 0o640
        os.chmod(tmp_path / "adamw", 0o604)
        trained(0).save(tmp_path / "adamw")
        assert (tmp_path / "adamw").stat().st_mode & 0o777 == 0o604
    finally:
        os.umask(before)


# ---- what another hand does


def content(path):
    with safetensors.safe_open(path, "np") as file:
        return file.metadata(), safetensors.numpy.load_file(path)


def changed(path, **metadata):
    """Write a file's tensors again, with other words beside them."""
    kept, tensors = content(path)
    safetensors.numpy.save_file(tensors, path, metadata=kept | metadata)


def retyped(path):
    """Say of a file's bytes that they are of an 8-bit float type."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    for entry in header.values():
        if "dtype" in entry:
            entry["dtype"] = "F8_E4M3"
            entry["shape"] = [entry["data_offsets"][1] - entry["data_offsets"][0]]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def unseparated(path):
    kept, tensors = content(path)
    safetensors.numpy.save_file({name.replace("\n", ""): array for name, array in tensors.items()}, path, metadata=kept)


@pytest.mark.parametrize("spoil", [
    retyped, unseparated, lambda path: changed(path, names="3"), lambda path: changed(path, names="null"),
    lambda path: changed(path, names="[[1]]"), lambda path: changed(path, names='"ab"'),
    lambda path: changed(path, steps='"x"'), lambda path: changed(path, steps="true"),
    lambda path: changed(path, groups="{}"), lambda path: changed(path, groups="[1]"),
    lambda path: changed(path, behind="[1]"), lambda path: changed(path, optimizer="Adam"),
    lambda path: changed(path, steps="{"),
])  # fmt: skip
def test_a_file_that_was_tampered_with_is_refused(tmp_path, spoil):
    path = tmp_path / "adamw"
    trained(2).save(path)
    spoil(path)
    optimizer = trained(1)
    before = held(optimizer)
    with pytest.raises((TypeError, ValueError), match=r"^(path|state_dict\S*): expected .*, got "):
        optimizer.load(path)
    assert held(optimizer) == before
