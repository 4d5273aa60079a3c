"""Elementwise kernels for CUDA: from what happens to one element to the text of one kernel over many arrays.

A block of 8 warps takes a chunk of 8192 elements of one array, a warp tiles of 256, a lane 8 elements of a tile. So a
group of 8-bit storage is one tile, and its largest magnitude takes shuffles, no barrier. A lane loads all it needs
before it stores anything. Whole tiles and an array's last one have paths of their own: in whole ones no index is
compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastopt.kernels.runtime import cuda_text

CHUNK = 8192  # elements of a block
TILE = 256  # of a warp at a time
PER = 8  # of a lane
WARPS = cuda_text.THREADS // 32

# how a buffer is kept -> its columns of the pointer table: (what stands behind its name, the table's type)
COLUMNS = {
    "float32": (("", "floats"),),
    "float64": (("", "doubles"),),
    "bfloat16": (("", "halves"),),
    "float16": (("", "halves"),),
    "stochastic": (("", "halves"),),
    "square16": (("", "halves"),),
    "split": (("", "halves"), ("_lost_bits", "halves")),
    "mean8": (("", "octets"), ("_scale", "floats")),
    "square8": (("", "octets"), ("_scale", "floats")),
}
ZEROS = {"floats": "np.float32(0)", "doubles": "np.float64(0)", "halves": "np.uint16(0)", "octets": "np.uint8(0)"}
GROUPED = ("mean8", "square8")
ARGUMENTS = (
    "floats", "halves", "octets", "doubles", "sizes", "chunks", "rows", "numbers", "words", "scalars", "partials",
)  # fmt: skip
SIGNATURE = """
def pointers(number):
    return types.CPointer(types.CPointer(number))

SIGNATURE = types.void(
    pointers(types.float32), pointers(types.uint16), pointers(types.uint8), pointers(types.float64),
    types.CPointer(types.int64), types.CPointer(types.int32), types.CPointer(types.int32), types.CPointer(types.uint32),
    types.CPointer(types.uint32), types.CPointer(types.{real}), types.CPointer(types.float64),
)
"""


@dataclass(frozen=True, eq=False)
class Elements:
    """What a kernel does to one element of a set of arrays.

    Parameters
    ----------
    name : str
    inputs, outputs : mapping of name -> kind
        What is loaded and decoded before, and encoded and stored behind it.
    scalars : tuple of str
        A job's row of the table of scalars.
    lines : tuple of str
        From inputs and scalars to outputs, in the kernel's type.
    sources : tuple of str
        Files of the rules that `lines` call, relative to `kernels/`.
    real : {"float32", "float64"}
        The kernel's type.
    sums : tuple of str
        Expressions in float64 that are summed up over each chunk.
    zero : tuple of str
        Columns that get zeros.
    table : tuple of str
        The columns of the pointer table, which kernels over the same arrays share; default: this kernel's own.
    """

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    scalars: tuple[str, ...]
    lines: tuple[str, ...]
    sources: tuple[str, ...]
    real: str = "float32"
    sums: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = field(init=False)

    def __post_init__(self):
        kinds = {**self.inputs, **self.outputs}
        columns = [(name + behind, table) for name, kind in kinds.items() for behind, table in COLUMNS[kind]]
        object.__setattr__(self, "columns", tuple(columns))
        object.__setattr__(self, "table", self.table or tuple([name for name, _ in columns]))

    @property
    def codes(self) -> str:
        """The types of the arguments: Q for a pointer or a whole number, d for a scalar."""
        return "Q" * len(ARGUMENTS)

    def text(self, target: str) -> str:
        """Return the whole text of the kernel's module; its function is `kernel`, of the signature `SIGNATURE`."""
        return text(self, target)

    # ---- what the text is made of

    @property
    def values(self) -> dict[str, int]:
        """Where each input's and output's 8 numbers begin among a lane's."""
        return {name: PER * k for k, name in enumerate({**self.inputs, **self.outputs})}

    @property
    def grouped(self) -> list[str]:
        return [name for name, kind in self.outputs.items() if kind in GROUPED]

    @property
    def walks(self) -> bool:
        """Whether second moments are rounded by noise that walks a group."""
        return any(kind in ("square8", "square16") for kind in self.outputs.values())

    @property
    def stochastic(self) -> bool:
        return "stochastic" in self.outputs.values()

    @property
    def pointers(self) -> list[str]:
        return [f"p_{name}" for name, _ in self.columns]

    @property
    def seeds(self) -> list[str]:
        return ["number", "words"] if self.walks or self.stochastic else []

    @property
    def tops(self) -> list[str]:
        return [f"top_{name}" for name in self.grouped]

    @property
    def totals(self) -> list[str]:
        return [f"sum_{k}" for k in range(len(self.sums))]


def text(spec: Elements, target: str) -> str:
    """Return the whole text of a kernel's module; its function is `kernel`, of the signature `SIGNATURE`."""
    sources = ("runtime/cuda_storage.py", "initializers/rules.py", *spec.sources)
    moves = [make(spec, whole) for make in (_gather, _scatter) for whole in (True, False)]
    entry = _host_entry(spec) if target == "host" else _device_entry(spec, target)
    signature = SIGNATURE.format(real=spec.real)
    return cuda_text.module(spec.name, target, spec.real, sources, signature, _element(spec), *moves, entry)


def _function(head: str, lines: list[str]) -> str:
    return "\n".join(["@device", f"def {head}:", *("    " + line for line in lines)])


def _element(spec: Elements) -> str:
    """Return the text of what happens to one element: it takes numbers and returns numbers."""
    results = ", ".join([*spec.outputs, *(f"({expression})" for expression in spec.sums)])
    return _function(f"element({', '.join([*spec.inputs, *spec.scalars])})", [*spec.lines, f"return ({results},)"])


def _place(spec: Elements) -> tuple[str, int]:
    """Return where a lane's elements begin within a tile, and how far apart they are.

    Stochastic rounding draws the bits of 8 elements that are 16 apart from one counter.
    """
    return ("(lane >> 4 << 7) + (lane & 15)", 16) if spec.stochastic else ("lane", 32)


def _gather(spec: Elements, whole: bool) -> str:
    """Return the text that loads, decodes and computes a lane's elements into `v`.

    In an array's last tile, lanes beyond the end take its last element, and add nothing to sums.
    """
    begin, step = _place(spec)
    lines = [f"begin = np.int32({begin})"]
    for name, kind in spec.inputs.items():
        if kind in GROUPED:
            lines.append(f"scale_{name} = ratio_scale(p_{name}_scale[t >> 8])")
    lines.append(f"for k in range({PER}):")
    lines.append(f"    o = np.int32(begin + np.int32({step} * k))")
    lines.append("    i = t + o" if whole else "    i = t + (o if o < rest else np.int32(rest - np.int32(1)))")
    lines += [f"    v[{spec.values[name]} + k] = {_decoded(name, kind)}" for name, kind in spec.inputs.items()]
    lines += [f"{top} = np.uint32(0)" for top in spec.tops] + [f"{total} = np.float64(0)" for total in spec.totals]
    arguments = [f"v[{spec.values[name]} + k]" for name in spec.inputs]
    results = [*(f"n_{name}" for name in spec.outputs), *(f"part_{total}" for total in spec.totals)]
    lines.append(f"for k in range({PER}):")
    lines.append(f"    {', '.join(results)}, = element({', '.join([*arguments, *spec.scalars])})")
    lines += [f"    v[{spec.values[name]} + k] = n_{name}" for name in spec.outputs]
    if not whole and (spec.tops or spec.totals):
        lines.append(f"    inside = np.int32(begin + np.int32({step} * k)) < rest")
    for name in spec.grouped:
        size = f"np.uint32(bits_of(n_{name}) & MAGNITUDE_BITS)"
        lines.append(f"    size_{name} = {size if whole else f'{size} if inside else np.uint32(0)'}")
        lines.append(f"    top_{name} = size_{name} if size_{name} > top_{name} else top_{name}")
    for total in spec.totals:
        lines.append(f"    {total} += part_{total}" + ("" if whole else " if inside else np.float64(0)"))
    lines.append(f"return ({''.join(f'{name}, ' for name in [*spec.tops, *spec.totals])})")
    name = f"gather_{'whole' if whole else 'rest'}"
    return _function(f"{name}(lane, t, rest, {', '.join([*spec.pointers, *spec.scalars])}, v)", lines)


def _scatter(spec: Elements, whole: bool) -> str:
    """Return the text that encodes and stores a lane's elements."""
    begin, step = _place(spec)
    lines = [f"begin = np.int32({begin})"]
    if spec.walks:
        lines.append("first, w1, w2, w3 = philox(np.uint32(t >> 8), number, words[0], words[1])")
    if spec.stochastic:
        lines.append("counter = np.uint32(np.uint32(t >> 3) + np.uint32((lane >> 4 << 4) + (lane & 15)))")
        lines.append("a, b, c, d = philox(counter, number, words[0], words[1])")
    for name in spec.grouped:
        lines.append(f"largest_{name} = float_of(top_{name})")
        lines.append(f"inverse_{name} = inverse_of(largest_{name})")
        lines += ["if lane == 0:", f"    p_{name}_scale[t >> 8] = largest_{name}"]
    stores = [line for name, kind in spec.outputs.items() for line in _encoded(spec, name, kind)]
    stores += [f"p_{name}[i] = {ZEROS[dict(spec.columns)[name]]}" for name in spec.zero]
    lines += [f"for k in range({PER}):", f"    o = np.int32(begin + np.int32({step} * k))", "    i = t + o"]
    lines += [] if whole else ["    if o < rest:"]
    lines += [("    " if whole else "        ") + line for line in stores or ["pass"]]
    name = f"scatter_{'whole' if whole else 'rest'}"
    return _function(f"{name}({', '.join(['lane, t, rest', *spec.pointers, *spec.seeds, *spec.tops, 'v'])})", lines)


def _decoded(name: str, kind: str) -> str:
    if kind in ("float32", "float64"):
        return f"p_{name}[i]"
    if kind in GROUPED:
        return f"decode_{kind}(p_{name}[i], scale_{name})"
    if kind == "split":
        return f"decode_split(p_{name}[i], p_{name}_lost_bits[i])"
    return f"decode_{'float16' if kind == 'float16' else 'bfloat16'}(p_{name}[i])"


def _encoded(spec: Elements, name: str, kind: str) -> list[str]:
    value, to = f"v[{spec.values[name]} + k]", f"p_{name}[i]"
    if kind in ("float32", "float64"):
        return [f"{to} = np.{kind}({value})"]
    value = f"np.float32({value})"
    if kind == "split":
        return [f"{to} = encode_split_upper({value})", f"p_{name}_lost_bits[i] = encode_split_lower({value})"]
    noise = {
        "stochastic": ", noise_of_word(a, b, c, d, k)",
        "square16": ", noise_of(first, o)",
        "square8": f", inverse_{name}, noise_of(first, o)",
        "mean8": f", inverse_{name}",
    }
    return [f"{to} = encode_{kind}({value}{noise.get(kind, '')})"]


# ---- entries


def _prologue(spec: Elements) -> list[str]:
    """Return the lines that find a block's arrays, its part of them, and their scalars."""
    return [
        "job = chunks[2 * block]",
        f"at = job * {len(spec.table)}",
        f"begin = np.int64(chunks[2 * block + 1]) * {CHUNK}",
        f"stop = min(begin + {CHUNK}, sizes[job])",
        f"row = rows[job] * {len(spec.scalars)}",
        *(f"p_{name} = {table}[at + {spec.table.index(name)}]" for name, table in spec.columns),
        *(f"{name} = scalars[row + {k}]" for k, name in enumerate(spec.scalars)),
        *(["number = numbers[job]"] if spec.seeds else []),
    ]


def _calls(spec: Elements, which: str, v: str) -> tuple[str, str]:
    """Return the calls of gather and scatter for one tile, whole or the last."""
    results = "".join(f"{name}, " for name in [*spec.tops, *spec.totals])
    arguments = ", ".join(["lane, t, rest", *spec.pointers, *spec.scalars, v])
    gather = f"{results + '= ' if results else ''}gather_{which}({arguments})"
    return gather, f"scatter_{which}({', '.join(['lane, t, rest', *spec.pointers, *spec.seeds, *spec.tops, v])})"


def _device_entry(spec: Elements, target: str) -> str:
    if spec.grouped and target == "simulator":
        raise ValueError("target: expected 'cuda' or 'host' for 8-bit storage; the simulator has no shuffles")
    tile = []
    for which, test in (("whole", f"if rest == {TILE}:"), ("rest", "else:")):
        gather, scatter = _calls(spec, which, "v")
        tile += [test, f"    {gather}", *(f"    {top} = warp_max({top})" for top in spec.tops), f"    {scatter}"]
        tile += [f"    own_{total} += {total}" for total in spec.totals]
    lines = [
        "thread = cuda.threadIdx.x",
        "block = cuda.blockIdx.x",
        "lane = thread & 31",
        *_prologue(spec),
        f"v = cuda.local.array({PER * len(spec.values)}, types.{spec.real})",
        *(f"own_{total} = np.float64(0)" for total in spec.totals),
        f"t = begin + (thread >> 5) * {TILE}",
        "while t < stop:",
        f"    rest = np.int32(min(stop - t, {TILE}))",
        *("    " + line for line in tile),
        f"    t += {WARPS * TILE}",
    ]
    if spec.totals:
        lines.append("shared = cuda.shared.array(THREADS, types.float64)")
    for k, total in enumerate(spec.totals):
        lines += [
            f"all_{total} = block_sum(own_{total}, thread, shared)",
            "if thread == 0:",
            f"    partials[{len(spec.totals)} * block + {k}] = all_{total}",
        ]
    return "\n".join([f"def kernel({', '.join(ARGUMENTS)}):", *("    " + line for line in lines)])


def _host_entry(spec: Elements) -> str:
    """Return the same as loops: each warp gathers in all its lanes before it scatters."""
    tile = []
    for which, test in (("whole", f"if rest == {TILE}:"), ("rest", "else:")):
        gather, scatter = _calls(spec, which, "v[lane]")
        tile += [test, *(f"    all_{top} = np.uint32(0)" for top in spec.tops)]
        tile += ["    for lane in range(32):", f"        {gather}"]
        tile += [f"        all_{top} = max(all_{top}, {top})" for top in spec.tops]
        tile += [f"        own[{k}, 32 * warp + lane] += {total}" for k, total in enumerate(spec.totals)]
        tile += [f"    {top} = all_{top}" for top in spec.tops]
        tile += ["    for lane in range(32):", f"        {scatter}"]
    lines = [
        f"v = np.empty((32, {PER * len(spec.values)}), real)",
        "for block in range(blocks):",
        *("    " + line for line in _prologue(spec)),
        f"    own = np.zeros(({max(1, len(spec.totals))}, THREADS))",
        f"    for warp in range({WARPS}):",
        f"        t = begin + warp * {TILE}",
        "        while t < stop:",
        f"            rest = np.int32(min(stop - t, {TILE}))",
        *("            " + line for line in tile),
        f"            t += {WARPS * TILE}",
        *(f"    partials[{len(spec.totals)} * block + {k}] = block_sum(own[{k}])" for k in range(len(spec.totals))),
    ]
    head = "@cfunc(types.void(types.int64, *SIGNATURE.args), error_model='numpy', boundscheck=False, cache=True)"
    return "\n".join([head, f"def kernel(blocks, {', '.join(ARGUMENTS)}):", *("    " + line for line in lines)])
