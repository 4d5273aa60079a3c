"""PTX without a GPU: run instruction by instruction on the CPU, counted, and assembled by ptxas.

A block's threads are NumPy lanes; of threads that went apart, those that are furthest behind go on first. It knows the
part of PTX that fastopt's kernels use, and refuses the rest.
"""

import collections
import re
import shutil
import subprocess

import host
import numpy as np
import pytest

from fastopt.kernels.runtime import cuda_compile

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
BASE = 0x10000  # the address where a device's memory begins
TYPES = {
    "u8": np.uint8, "s8": np.int8, "u16": np.uint16, "s16": np.int16, "b16": np.uint16, "u32": np.uint32,
    "s32": np.int32, "b32": np.uint32, "u64": np.uint64, "s64": np.int64, "b64": np.uint64, "f32": np.float32,
    "f64": np.float64,
}  # fmt: skip
WIDER = {"s32": "s64", "u32": "u64", "s16": "s32", "u16": "u32"}
COMPARE = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
ARITHMETIC = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "sqrt": np.sqrt, "neg": np.negative,
    "rcp": np.reciprocal, "abs": np.abs, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert, "mad": lambda a, b, c: a * b + c,
}  # fmt: skip


class Memory:
    """A device's memory: arrays are put in, addresses come out."""

    def __init__(self, size=1 << 22):
        self.bytes, self.used = np.zeros(size, np.uint8), 0

    def put(self, array):
        array = np.ascontiguousarray(array)
        at = -(-self.used // 256) * 256
        self.used = at + array.nbytes
        self.bytes[at : self.used] = array.view(np.uint8).ravel()
        return BASE + at

    def get(self, address, like):
        at = address - BASE
        return self.bytes[at : at + like.nbytes].view(like.dtype).reshape(like.shape).copy()


class Program:
    """A kernel's instructions: (predicate, negated, opcode, arguments); `counts` says how often threads ran which."""

    def __init__(self, text):
        text = re.sub(r"//[^\n]*", "", text)
        head, body = text[text.index(".visible .entry") :].split("{", 1)
        self.parameters = [part.split()[-1] for part in head[head.index("(") + 1 : head.rindex(")")].split(",")]
        self.shared, self.shared_size = {}, 0
        for align, name, size in re.findall(r"\.shared \.align (\d+) \.b8 (\S+?)\[(\d+)\]", text):
            at = -(-self.shared_size // int(align)) * int(align)
            self.shared[name], self.shared_size = at, at + int(size)
        body = re.sub(r"^\s*[{}]\s*$", "", body, flags=re.M)
        body = re.sub(r"\{ \.reg \.b\d+ tmp; mov\.(b\d+) \{tmp, (%\w+)\}, (%\w+); \}", r"high.\1 \2, \3;", body)
        body = re.sub(r"mov\.(b\d+)(\s+%\w+, )\{([^}]*)\}", r"pack.\1\2\3", body)
        self.code, self.labels = [], {}
        for part in body.rstrip().rstrip("}").split(";"):
            self._add(part.strip())
        self.counts = collections.Counter()

    def _add(self, part):
        while label := re.match(r"(\$\w+):\s*", part):
            self.labels[label.group(1)] = len(self.code)
            part = part[label.end() :].strip()
        if not part or part.startswith("."):
            return
        negated, predicate, opcode, rest = re.match(r"(?:@(!?)(%p\d+)\s+)?([a-z][\w.]*)\s*(.*)$", part, re.S).groups()
        arguments = [a.strip() for a in re.split(r"[,|](?![^\[]*\])", " ".join(rest.split()))] if rest else []
        self.code.append((predicate, bool(negated), opcode, arguments))

    def launch(self, memory, blocks, threads, *arguments):
        """Run all blocks, one after the other; arguments are addresses and numbers."""
        with np.errstate(all="ignore"):
            for block in range(blocks):
                _Block(self, memory, block, threads, dict(zip(self.parameters, arguments, strict=True))).run()


class _Block:
    def __init__(self, program, memory, block, threads, parameters):
        self.program, self.memory, self.threads, self.parameters = program, memory, threads, parameters
        self.registers = {}
        self.special = {
            "%tid.x": np.arange(threads), "%ctaid.x": np.full(threads, block), "%ntid.x": np.full(threads, threads),
        }  # fmt: skip
        self.shared = np.zeros(max(8, program.shared_size), np.uint8)

    def run(self):
        code, labels, counts = self.program.code, self.program.labels, self.program.counts
        at, waiting = np.zeros(self.threads, np.int64), np.zeros(self.threads, bool)
        while (live := at < len(code)).any():
            ready = live & ~waiting
            if not ready.any():
                waiting[:] = False  # all that live have come to the barrier
                continue
            here = int(at[ready].min())
            mask = ready & (at == here)
            predicate, negated, opcode, arguments = code[here]
            at[mask] += 1
            if predicate:
                mask &= (self.registers[predicate] != 0) != negated
            counts[opcode] += int(mask.sum())
            if opcode.startswith("bra"):
                at[mask] = labels[arguments[0]]
            elif opcode == "ret":
                at[mask] = len(code)
            elif opcode.startswith(("bar.sync", "barrier.sync")):
                waiting |= mask
            elif mask.any():
                self.do(opcode.split("."), arguments, mask)

    # ---- registers: 64 bits, whatever is kept in them

    def read(self, name, kind):
        dtype = np.dtype(TYPES[kind])
        if name[:2] in ("0f", "0d"):
            word = np.uint32(int(name[2:], 16)) if name[1] == "f" else np.uint64(int(name[2:], 16))
            return np.full(self.threads, word.view(np.float32 if name[1] == "f" else np.float64))
        if name in self.special:
            raw = self.special[name].astype(np.uint64)
        elif name.startswith("%"):
            raw = self.registers[name]
        elif re.match(r"-?\d", name):
            raw = np.full(self.threads, int(name) & (2**64 - 1), np.uint64)
        else:
            raw = np.full(self.threads, self.program.shared[name], np.uint64)
        return raw.view(dtype) if dtype.itemsize == 8 else raw.astype(f"u{dtype.itemsize}").view(dtype)

    def write(self, name, value, kind, mask):
        dtype = np.dtype(TYPES[kind])
        value = np.ascontiguousarray(value.astype(dtype, copy=False))
        if dtype.kind == "i":  # a narrow signed number in a wide register is extended
            raw = value.astype(np.int64).view(np.uint64)
        else:
            raw = value.view(f"u{dtype.itemsize}").astype(np.uint64)
        old = self.registers.get(name)
        self.registers[name] = raw if old is None else np.where(mask, raw, old)

    def flag(self, name, value, mask):
        old = self.registers.get(name, np.zeros(self.threads, np.uint64))
        self.registers[name] = np.where(mask, value.astype(np.uint64), old)

    # ---- instructions

    def do(self, op, args, mask):
        name, kind = op[0], op[-1]
        assert not {"approx", "ftz"} & set(op), op
        own = getattr(self, f"do_{name}", None)
        if own is not None:
            own(op, args, mask)
        elif kind == "pred":
            values = [self.registers[a] != 0 for a in args[1:]]
            functions = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not}
            self.flag(args[0], functions[name](*values), mask)
        else:
            assert kind[0] != "f" or name not in ("add", "sub", "mul", "sqrt") or len(op) == 2 or op[1] == "rn", op
            self.write(args[0], ARITHMETIC[name](*[self.read(x, kind) for x in args[1:]]), kind, mask)

    def do_ld(self, op, args, mask):
        kind, space = op[-1], op[1]
        if space == "param":
            raw = self.parameters[re.match(r"\[(\S+?)\]", args[1]).group(1)]
            self.write(args[0], np.full(self.threads, raw).astype(TYPES[kind]), kind, mask)
            return
        cells, inside = self.cells(args[1], kind, space, mask)
        value = np.zeros(self.threads, TYPES[kind])
        value[mask] = cells[inside]
        self.write(args[0], value, kind, mask)

    def do_st(self, op, args, mask):
        cells, inside = self.cells(args[0], op[-1], op[1], mask)
        cells[inside] = self.read(args[1], op[-1])[mask]

    def cells(self, text, kind, space, mask):
        """Return memory as cells of a type, and where the threads' cells are in it."""
        assert space in ("global", "shared"), space
        name, plus = re.match(r"\[(\S+?)(?:\+(-?\d+))?\]", text).groups()
        base = self.read(name, "u64" if name.startswith("%rd") or not name.startswith("%") else "u32").astype(np.uint64)
        at = (base + np.uint64(int(plus or 0) & (2**64 - 1))).astype(np.int64)[mask] - (
            BASE if space == "global" else 0
        )
        memory, size = self.memory.bytes if space == "global" else self.shared, np.dtype(TYPES[kind]).itemsize
        assert ((at >= 0) & (at + size <= memory.size)).all(), "outside of memory"
        assert (at % size == 0).all(), "misaligned"
        return memory.view(TYPES[kind]), at // size

    def do_cvta(self, op, args, mask):
        self.write(args[0], self.read(args[1], "u64"), "u64", mask)

    def do_mov(self, op, args, mask):
        if op[-1] == "pred":
            value = self.registers[args[1]] if args[1].startswith("%") else np.full(self.threads, int(args[1]) != 0)
            return self.flag(args[0], value, mask)
        self.write(args[0], self.read(args[1], op[-1]), op[-1], mask)

    def do_cvt(self, op, args, mask):
        self.write(args[0], self.read(args[1], op[-1]).astype(TYPES[op[-2]]), op[-2], mask)

    def do_selp(self, op, args, mask):
        a, b = (self.read(x, op[-1]) for x in args[1:3])
        self.write(args[0], np.where(self.registers[args[3]] != 0, a, b), op[-1], mask)

    def do_setp(self, op, args, mask):
        how, kind = op[1], op[-1]
        a, b = (self.read(x, kind) for x in args[-2:])
        if kind[0] != "f":
            return self.flag(args[0], COMPARE[how](a, b), mask)
        unordered = np.isnan(a) | np.isnan(b)
        if how in ("nan", "num"):
            return self.flag(args[0], unordered if how == "nan" else ~unordered, mask)
        if how.endswith("u"):
            return self.flag(args[0], COMPARE[how[:-1]](a, b) | unordered, mask)
        return self.flag(args[0], COMPARE[how](a, b) & ~unordered, mask)

    def do_mul(self, op, args, mask):
        kind, half = op[-1], op[1]
        if half not in ("wide", "hi"):
            return self.write(args[0], self.read(args[1], kind) * self.read(args[2], kind), kind, mask)
        wide = TYPES[WIDER[kind]]
        product = self.read(args[1], kind).astype(wide) * self.read(args[2], kind).astype(wide)
        if half == "wide":
            return self.write(args[0], product, WIDER[kind], mask)
        return self.write(args[0], product >> wide(8 * np.dtype(TYPES[kind]).itemsize), kind, mask)

    def do_rem(self, op, args, mask):
        """Quotients and rests of whole numbers that are not below 0."""
        kind = op[-1]
        if kind[0] == "f":
            return self.write(args[0], self.read(args[1], kind) / self.read(args[2], kind), kind, mask)
        a, b = (np.where(mask, self.read(x, kind), 1) for x in args[1:])
        assert (a >= 0).all(), op
        assert (b > 0).all(), op
        self.write(args[0], a % b if op[0] == "rem" else a // b, kind, mask)

    def do_div(self, op, args, mask):
        assert op[-1][0] != "f" or op[1] == "rn", op
        self.do_rem(op, args, mask)

    def do_fma(self, op, args, mask):
        """Product and sum with one rounding: in float64 the product is exact, and the sum is rounded to odd before."""
        assert op == ["fma", "rn", "f32"], op
        a, b, c = (self.read(x, "f32").astype(np.float64) for x in args[1:])
        product = a * b
        total = product + c
        back = total - product
        lost = (product - (total - back)) + (c - back)
        nudged = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf))
        even = total.view(np.uint64) & np.uint64(1) == 0
        exact = ~np.isfinite(total) | (lost == 0)
        self.write(args[0], np.where(exact | ~even, total, nudged).astype(np.float32), "f32", mask)

    def do_shift(self, op, args, mask):
        name, kind = op[0], op[-1]
        x, amount, bits = self.read(args[1], kind), self.read(args[2], "u32"), 8 * np.dtype(TYPES[kind]).itemsize
        most = np.minimum(amount, bits - 1).astype(x.dtype)
        moved = x << most if name == "shl" else x >> most
        beyond = moved if x.dtype.kind == "i" and name == "shr" else np.zeros_like(x)
        self.write(args[0], np.where(amount >= bits, beyond, moved).astype(x.dtype), kind, mask)

    do_shl = do_shr = do_shift

    def do_bfi(self, op, args, mask):
        kind, word = op[-1], TYPES[op[-1]]
        a, b = (self.read(x, kind) for x in args[1:3])
        at, size = (self.read(x, "b32").astype(word) for x in args[3:])
        bits = ((word(1) << size) - word(1)) << at
        self.write(args[0], (b & ~bits) | ((a << at) & bits), kind, mask)

    def do_min(self, op, args, mask):
        kind, function = op[-1], np.minimum if op[0] == "min" else np.maximum
        assert kind[0] != "f", op
        self.write(args[0], function(self.read(args[1], kind), self.read(args[2], kind)), kind, mask)

    do_max = do_min

    def do_high(self, op, args, mask):
        half = "b32" if op[-1] == "b64" else "b16"
        x = self.read(args[1], op[-1])
        self.write(args[0], x >> x.dtype.type(x.dtype.itemsize * 4), half, mask)

    def do_pack(self, op, args, mask):
        half, wide = ("b16", np.uint32) if op[-1] == "b32" else ("b32", np.uint64)
        low, high = (self.read(x, half).astype(wide) for x in args[1:])
        self.write(args[0], low | (high << wide(8 * np.dtype(TYPES[half]).itemsize)), op[-1], mask)

    def do_shfl(self, op, args, mask):
        source = self.read(args[2] if len(args) == 6 else args[1], "b32")
        asked, lane = self.read(args[-3], "u32").astype(np.int64), np.arange(self.threads)
        assert op[2] in ("bfly", "idx"), op
        other = lane ^ asked if op[2] == "bfly" else (lane & ~31) | (asked & 31)
        assert mask[other[mask]].all(), "a shuffle from a lane that is elsewhere"
        self.write(args[0], source[other], "b32", mask)


def of(kernel):
    """Return a kernel's PTX; skips the test where it doesn't come with the package and nothing here compiles it."""
    text = kernel.text("cuda")
    if cuda_compile.key(text) not in cuda_compile.shipped() and not cuda_compile.has_compiler():
        pytest.skip(f"{kernel.name} doesn't come compiled, and compiling it takes numba-cuda: {cuda_compile.INSTALL}")
    return cuda_compile.ptx(kernel.name, text)


def run(text, kernel, jobs, scalars, **options):
    """Run an elementwise kernel's PTX over jobs, in place; return its sums chunk by chunk, and the program."""
    program, memory = Program(text), Memory()
    at = [[memory.put(job[name]) for name in kernel.table] for job in jobs]
    rest, blocks = host.tables(kernel, jobs, scalars, **options)
    pointers = memory.put(np.array(at, np.uint64))
    places = [memory.put(array) for array in rest]
    program.launch(memory, blocks, 256, *[pointers] * host.POINTER_TABLES, *places)
    for row, job in zip(at, jobs, strict=True):
        for address, name in zip(row, kernel.table, strict=True):
            job[name] = memory.get(address, job[name])
    return memory.get(places[-1], rest[-1]), program


def run_rows(text, kernel, arrays, rows, columns, dims, scalars):
    """Run the PTX of a kernel of rows over arrays, in place; one that is given twice is one array on the device."""
    program, memory = Program(text), Memory(1 << 20)
    places = {id(array): memory.put(array) for array in arrays if array is not None}
    at = [0 if array is None else places[id(array)] for array in arrays]
    blocks, threads, warps = kernel.shape(rows, columns)
    program.launch(memory, blocks, threads, *at, rows, warps, *dims, *scalars)
    for array in arrays:
        if array is not None:
            array[...] = memory.get(places[id(array)], array)


# ---- counted, and assembled


def facts(text):
    """Return what must be zero in a kernel's PTX, and its float64 operations."""
    code = re.sub(r"//.*", "", text)
    found = re.findall(r"^\s+(?:@!?%p\d+\s+)?([a-z][a-z0-9_.]+)\s", code, re.M)
    count = lambda pattern: sum(bool(re.match(pattern, opcode)) for opcode in found)  # noqa: E731
    return {
        "contracted": count(r"mad.*\.f(32|64)"), "fma": count(r"fma"),
        "approximate": count(r".*\.(approx|ftz)"), "calls": count("call"),
        "generic": count(r"(ld|st)\.(v\d\.)?[fusb]\d"), "local": len(re.findall(r"\.local", code)),
        "float64": count(r".*\.f64"),
    }  # fmt: skip


def ptxas():
    """Return where ptxas is, or None: on the path, or in the wheel nvidia-cuda-nvcc."""
    found = shutil.which("ptxas")
    if found is None:
        try:
            import nvidia
        except ImportError:
            return None
        found = next((str(path) for root in nvidia.__path__ for path in _search(root)), None)
    return found


def _search(root):
    from pathlib import Path

    return sorted(Path(root).glob("*/bin/ptxas"))


needs_assembler = pytest.mark.skipif(
    ptxas() is None, reason="assembling takes ptxas: of CUDA, or of the wheel nvidia-cuda-nvcc"
)


def assemble(text, arch, folder):
    """Return the bytes of stack and spills that ptxas reports, and the registers; raises if it refuses the text."""
    source = folder / "kernel.ptx"
    source.write_text(text)
    command = [ptxas(), "-v", f"-arch={arch}", str(source), "-o", str(folder / "kernel.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stack, stores, loads = map(
        int, re.search(r"(\d+) bytes stack.*?(\d+) bytes spill.*?(\d+) bytes", done.stderr).groups()
    )
    return stack + stores + loads, int(re.search(r"Used (\d+) registers", done.stderr).group(1))
