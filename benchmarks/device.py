"""The CUDA target on a GPU: checked, then timed beside torch. See device.sh.

python benchmarks/device.py --prepare   here, without a GPU: compile what the script will need into FASTOPT_CACHE_DIR
python benchmarks/device.py --dry       here: the same steps on the driver's stand-in, tiny sizes
python benchmarks/device.py             on the machine with the GPU; writes $OUT/results.jsonl and $OUT/results-cuda.md
"""

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastopt as fo
from fastopt.kernels.runtime import cuda as launches
from fastopt.kernels.runtime import driver

PREPARE, DRY = "--prepare" in sys.argv, "--dry" in sys.argv or "--prepare" in sys.argv
OUT = Path(os.environ.get("OUT", tempfile.mkdtemp(prefix="fastopt-device-")))
BEGIN, LINES = time.perf_counter(), []
BIG = 20_000 if DRY else 100_000_000
GPT2 = [50257 * 768, 1024 * 768, 768, 768]
GPT2 += 12 * [768, 768, 768 * 2304, 2304, 768 * 768, 768, 768, 768, 768 * 3072, 3072, 3072 * 768, 768]
GPT2 = [max(1, n // 1000) for n in GPT2] if DRY else GPT2
UGLY = (1, 33, 255, 2304, 8193, 100_003)
CLASSES = {
    "SGD": {"momentum": 0.9}, "Adam": {}, "AdamW": {}, "RMSprop": {}, "Adagrad": {}, "NAdam": {}, "RAdam": {},
    "Adamax": {}, "Adadelta": {}, "Rprop": {}, "ASGD": {}, "Lion": {}, "AdEMAMix": {}, "FTRL": {},
}  # fmt: skip


def say(step, **facts):
    facts = {"step": step, "at": round(time.perf_counter() - BEGIN, 1), **facts}
    LINES.append(facts)
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "results.jsonl", "a") as file:
        file.write(json.dumps(facts) + "\n")
    print(facts, flush=True)


# ---- the stand-in, for a dry run


def stand_in():
    """Put the driver's stand-in in the place of the driver; kernels' text runs on the host, or nothing does."""
    tests = Path(__file__).parents[1] / "tests/cuda"
    sys.path.insert(0, str(tests))
    import stand_in as control

    path = Path(tempfile.mkdtemp()) / "libcuda.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", str(tests / "stand_in_libcuda.c"), "-o", str(path)], check=True)
    driver.LIBRARY = str(path)
    gpu, plain, seen = control.StandIn(ctypes.CDLL(str(path))), launches.ptx, set()

    def ptx(kernel):
        if kernel.name not in seen:
            seen.add(kernel.name)
            gpu.register_nothing(kernel) if PREPARE else gpu.register(kernel)
        return plain(kernel) if PREPARE else f".version 7.0\n// {kernel.name}"

    launches.ptx = ptx
    return control.Array


def arrays(sizes, seed=0):
    """Return float32 arrays on the device, by torch; in a dry run, as the stand-in has them."""
    rng = np.random.default_rng(seed)
    if DRY:
        return [ARRAY(rng.standard_normal(n).astype(np.float32)) for n in sizes]
    import torch

    torch.manual_seed(seed)
    return [torch.randn(n, device="cuda") for n in sizes]


def from_host(values):
    if DRY:
        return [ARRAY(np.array(value)) for value in values]
    import torch

    return [torch.from_numpy(np.array(value)).cuda() for value in values]


def to_host(array):
    return array.array if DRY else array.cpu().numpy()


# ---- checked


def check():
    """Every elementwise optimizer at ugly sizes: the CPU's bits; then the table's tolerance."""
    from fastopt.cli import check as table
    from fastopt.table import OPS

    wrong = []
    for name, options in CLASSES.items():
        rng = np.random.default_rng(1)
        ours = [rng.standard_normal(n).astype(np.float32) for n in UGLY[: 4 if DRY else None]]
        grads = [rng.standard_normal(each.size).astype(np.float32) for each in ours]
        theirs = from_host(ours)
        on_cpu = getattr(fo.optimizers, name)(ours, **options)
        with fo.target("cuda"):
            on_gpu = getattr(fo.optimizers, name)(theirs, **options)
        for _ in range(3):
            on_cpu.step(grads)
            with fo.target("cuda"):
                on_gpu.step(from_host(grads))
        if not PREPARE and not all(np.array_equal(a, to_host(b)) for a, b in zip(ours, theirs, strict=True)):
            wrong.append(name)
    say("bits", optimizers=len(CLASSES), different=wrong)
    families = ("optimizers", "losses", "normalization", "initializers", "arrays")
    ops = [op for op in OPS if op.family in families][: 4 if DRY and not PREPARE else None]
    verdicts = [verdict for op in ops for verdict in table.check(op, ["cuda"])]
    say(
        "table", cases=sum(v.cases for v in verdicts), missing=sum(v.missing for v in verdicts),
        wrong=[] if PREPARE else [v.failure for v in verdicts if not v.passed][:8],
    )  # fmt: skip


def graph():
    """A captured step replays with the scalars that it was captured with."""
    if DRY:
        return
    import torch

    param, grad = torch.ones(1 << 20, device="cuda"), torch.ones(1 << 20, device="cuda")
    side = torch.cuda.Stream()
    with fo.target("cuda"), torch.cuda.stream(side):
        opt = fo.optimizers.SGD([param], lr=0.5)
        opt.step([grad])
        side.synchronize()
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured, stream=side):
            opt.step([grad])
        for _ in range(3):
            captured.replay()
    torch.cuda.synchronize()
    say("graph", expected=-1.0, found=float(param[0]))


# ---- timed


def timed(call, repeats=20):
    """Return milliseconds on the device (median, p10, p90) and microseconds of the host."""
    for _ in range(3):
        call()
    if DRY:
        begin = time.perf_counter()
        call()
        return {"ms": 0.0, "host_us": round(1e6 * (time.perf_counter() - begin), 1)}
    import torch

    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for first, last in events:
        first.record()
        call()
        last.record()
    torch.cuda.synchronize()
    found = sorted(first.elapsed_time(last) for first, last in events)
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    host = (time.perf_counter() - begin) / repeats
    torch.cuda.synchronize()
    tenth = len(found) // 10
    return {
        "ms": round(statistics.median(found), 4), "p10": round(found[tenth], 4), "p90": round(found[-1 - tenth], 4),
        "host_us": round(1e6 * host, 1),
    }  # fmt: skip


def ours(name, sizes, per_element, cls, **options):
    """Time a step; `per_element` is the bytes that it must move."""
    with fo.target("cuda"):
        opt, grads = getattr(fo.optimizers, cls)(arrays(sizes), **options), arrays(sizes, 1)
        found = timed(lambda: opt.step(grads))
    moved = per_element * sum(sizes)
    say(name, who="fastopt", TB_s=round(moved / found["ms"] / 1e9, 3) if found["ms"] else None, **found)


def theirs(name, sizes, cls, **options):
    if DRY:
        return
    import torch

    params = arrays(sizes)
    for param in params:
        param.grad = torch.randn_like(param)
    say(name, who="torch " + " ".join(options), **timed(getattr(torch.optim, cls)(params, **options).step, 10))


def measured(name, call, moved, reference=None):
    """Time a call that moves so many bytes, and what torch does for it."""
    with fo.target("cuda"):
        found = timed(call)
    say(name, who="fastopt", TB_s=round(moved / found["ms"] / 1e9, 3) if found["ms"] else None, **found)
    if not DRY and reference is not None:
        say(name, who="torch", **timed(reference, 10))


def rows():
    """Losses and norms of rows: a training step's softmax of a vocabulary, and a layer norm."""
    samples, classes, features = (64, 101, 96) if DRY else (8192, 50257, 4096)
    rng = np.random.default_rng(0)
    logits, x, slope = _matrices(samples, classes, features)
    (labels,) = from_host([rng.integers(0, classes, samples)])
    out, gamma, beta = logits_like(logits), *arrays([features, features], 3)
    loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True)
    with fo.target("cuda"):
        _, mean, invstd = fo.normalization.layer_norm_forward(x, gamma, beta)
    size = samples * classes * 4

    def cross_entropy():
        wanted = logits.detach().requires_grad_()
        torch.nn.functional.cross_entropy(wanted, labels).backward()

    def layer_norm():
        torch.nn.functional.layer_norm(x, (features,), gamma, beta)

    if not DRY:
        import torch
    measured(
        "softmax, value and gradient", lambda: loss.value_and_grad(labels, logits, out=out), 2 * size, cross_entropy
    )
    size = samples * features * 4
    norm = fo.normalization
    measured("layer norm", lambda: norm.layer_norm_forward(x, gamma, beta, out=slope), 2 * size, layer_norm)
    measured("layer norm, backward", lambda: norm.layer_norm_backward(slope, x, gamma, mean, invstd), 5 * size)
    weights = arrays([BIG], 4)[0]
    for name in ("uniform", "normal"):
        measured(f"{name} 100M", lambda name=name: getattr(fo.initializers, name)((BIG,), seed=0, out=weights), 4 * BIG)


def _matrices(samples, classes, features):
    """Return arrays of two axes on the device."""
    made = arrays([samples * classes, samples * features, samples * features], 2)
    if DRY:
        return [ARRAY(array.array.reshape(samples, -1)) for array in made]
    return [array.reshape(samples, -1) for array in made]


def logits_like(array):
    return ARRAY(np.zeros_like(array.array)) if DRY else array.clone()


def benches():
    if not DRY:
        import torch

        a, b = (torch.empty(5 * BIG, device="cuda") for _ in range(2))
        copy = timed(lambda: b.copy_(a))
        say("copy", TB_s=round(2 * a.nbytes / copy["ms"] / 1e9, 3), **copy)
        del a, b
    for _ in range(2):  # taking turns
        ours("AdamW 100M", [BIG], 28, "AdamW")
        theirs("AdamW 100M", [BIG], "AdamW", fused=True)
        ours("AdamW GPT-2", GPT2, 28, "AdamW")
        theirs("AdamW GPT-2", GPT2, "AdamW", fused=True)
    ours("AdamW 8-bit 100M", [BIG], 16, "AdamW", state_dtype="8bit")
    ours("AdamW bfloat16 state 100M", [BIG], 20, "AdamW", state_dtype="bfloat16")
    ours("Adam all options 100M", [BIG], 40, "Adam", clip_value=1.0, ema_decay=0.9, decoupled_weight_decay=True)
    for cls, size in (("RMSprop", 20), ("NAdam", 28), ("Adagrad", 20), ("Adadelta", 28)):
        ours(f"{cls} 100M", [BIG], size, cls)
        theirs(f"{cls} 100M", [BIG], cls, foreach=True)
    with fo.target("cuda"):
        y_true, y_pred, out = (arrays([BIG], seed)[0] for seed in range(3))
        say("mean squared error 100M", who="fastopt", **timed(
            lambda: fo.losses.MeanSquaredError().value_and_grad(y_true, y_pred, out=out)
        ))  # fmt: skip


def write_page():
    """Write the results as a page, with the machine they are of."""
    found = driver.driver().device(0)
    lines = [
        f"Device: {found.name}, driver for CUDA {driver.driver().version / 1000:.1f}, fastopt {fo.__version__}.",
        "",
    ]
    lines += ["| step | who | ms | p10 | p90 | TB/s | host µs |", "|---|---|---|---|---|---|---|"]
    keys = ("step", "who", "ms", "p10", "p90", "TB_s", "host_us")
    lines += ["| " + " | ".join(str(f.get(k, "")) for k in keys) + " |" for f in LINES if "ms" in f]
    (OUT / "results-cuda.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    ARRAY = stand_in() if DRY else None
    device = driver.driver().device(0)
    say("machine", device=device.name, capability=device.capability, driver=driver.driver().version, dry=DRY)
    for part in (check, graph, benches, rows, write_page):
        try:
            part()
        except Exception as error:  # the rest is to run all the same: the machine is lent for minutes
            say(part.__name__, failed=f"{type(error).__name__}: {error}"[:500])
    say("end")
