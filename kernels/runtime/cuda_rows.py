"""Kernels of rows for CUDA: from passes over a row's elements to the text of one kernel.

A row's elements couple: its largest, its sums. A *pass* walks a row once, folds what it makes of the elements, and may
store. There are two forms:

team    warps share a row: one up to 1024 elements, 16 at the most. Each takes parts of 1024 elements, a lane every
        32nd of them: the lanes that the CPU's kernels sum in, folded in halves as they do, and the parts' sums are
        added in their order, in float64. So sums have the CPU's bits at any length.
thread  a thread takes a row, element by element, as the CPU takes rows of less than 32 elements.

Whatever a lane stores it alone has read, so a result may take an input's place.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

from fastopt.kernels.runtime import cuda_text

PART = 1024  # elements that a warp takes at a time
MOST_WARPS = 16  # of a row
SHORT = 32  # rows of less elements go to a thread each
THREADS = cuda_text.THREADS

NUMBERS = {  # how an array is kept -> the type of its numbers, and how they are decoded and encoded
    "float32": ("float32", "{}", "np.float32({})"),
    "float64": ("float64", "{}", "np.float64({})"),
    "bfloat16": ("uint16", "decode_bfloat16({})", "encode_bfloat16(np.float32({}))"),
    "float16": ("uint16", "decode_float16({})", "encode_float16(np.float32({}))"),
    "int64": ("int64", "{}", "np.int64({})"),
    "int32": ("int32", "np.int64({})", "np.int32({})"),
    "bool": ("uint8", "{}", "np.uint8({})"),
    "uint8": ("uint8", "{}", "np.uint8({})"),
}
FOLDS = ("max", "least", "lanes", "row", "parts", "real", "wide")
BEGIN = {"max": "-INFINITY", "least": "np.int32(2147483647)", "real": "real(0)"}
SUMS = ("lanes", "row", "parts", "wide")


class Pass(NamedTuple):
    """A walk over a row's elements.

    `sums` are results -> (how it is folded, expression of an element):

    max    the largest; NaN never is
    least  the least of whole numbers
    lanes  a sum in lanes, whatever the length
    row    in lanes from 32 elements on, else one after the other
    parts  so for each part of 1024 elements
    wide   in lanes of float64; of threads, one after the other
    real   one after the other, in the kernel's type; of threads alone

    The other sums are float64. An array whose name is in the text is loaded; `stores` are arrays -> expression.
    Where `when` doesn't hold nothing is walked, and sums are 0.
    """

    sums: Mapping[str, tuple[str, str]] = {}
    lines: tuple[str, ...] = ()
    stores: Mapping[str, str] = {}
    when: str = ""


class Once(NamedTuple):
    """What is computed of a row by all its lanes; one of them stores."""

    lines: tuple[str, ...] = ()
    stores: Mapping[str, str] = {}


@dataclass(frozen=True, eq=False)
class Rows:
    """What a kernel does to each row.

    Parameters
    ----------
    name : str
    arrays : mapping of name -> kind
        How each array is kept. `p_<name>` is its pointer, `load_<name>(p, i)` and `store_<name>(p, i, x)` read and
        write.
    steps : tuple of Pass or Once
        Text in the kernel's type: float literals are of it, all maths calls rules.
    sources : tuple of str
        Files of the rules, relative to `kernels/`.
    dims, scalars : tuple of str
        Numbers that each launch takes: int64, and float64 that become the kernel's type.
    real : {"float32", "float64"}
    form : {"team", "thread"}
    extent : tuple of str
        From `row` and dims to `at`, where a row begins, and `columns`, its length.
    index : str
        Where element `c` of a row is.
    """

    name: str
    arrays: Mapping[str, str]
    steps: tuple[Pass | Once, ...]
    sources: tuple[str, ...]
    dims: tuple[str, ...] = ("columns",)
    scalars: tuple[str, ...] = ()
    real: str = "float32"
    form: str = "team"
    extent: tuple[str, ...] = ("at = row * columns",)
    index: str = "at + c"
    elements: tuple[str, ...] = field(init=False)

    WORDS: ClassVar[tuple[str, ...]] = ("rows", "warps")  # in front of the dims

    def __post_init__(self):
        walked = [step for step in self.steps if isinstance(step, Pass)]
        used = dict.fromkeys(name for step in walked for name in [*self.read(step), *step.stores])
        object.__setattr__(self, "elements", tuple(used))

    @property
    def arguments(self) -> list[str]:
        return [*(f"p_{name}" for name in self.arrays), *self.WORDS, *self.dims, *(f"s_{s}" for s in self.scalars)]

    @property
    def codes(self) -> str:
        """The types of the arguments: Q for a pointer or a whole number, d for a scalar."""
        return "Q" * (len(self.arrays) + len(self.WORDS) + len(self.dims)) + "d" * len(self.scalars)

    def read(self, walk: Pass) -> list[str]:
        """Return the arrays whose elements a pass reads."""
        texts = ["\n".join(walk.lines), *walk.stores.values(), *(expression for _, expression in walk.sums.values())]
        names = {node.id for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        return [name for name in self.arrays if name in names]

    def shape(self, rows: int, columns: int) -> tuple[int, int, int]:
        """Return a launch's blocks and threads, and how many warps share a row."""
        if self.form == "thread":
            return -(-rows // THREADS), THREADS, 1
        warps = min(MOST_WARPS, -(-columns // PART))
        return (rows, 32 * warps, warps) if warps > 1 else (-(-rows * 32 // THREADS), THREADS, 1)

    def text(self, target: str) -> str:
        """Return the whole text of the kernel's module; its function is `kernel`, of the signature `SIGNATURE`."""
        sources = ("runtime/cuda_storage.py", "runtime/lanes.py", *self.sources)
        return cuda_text.module(self.name, target, self.real, sources, *self._moves(), _Writer(self, target).entry())

    @cached_property
    def _signature(self) -> str:
        pointers = [f"types.CPointer(types.{NUMBERS[kind][0]})" for kind in self.arrays.values()]
        numbers = ["types.int64"] * (len(self.WORDS) + len(self.dims)) + ["types.float64"] * len(self.scalars)
        return f"SIGNATURE = types.void({', '.join([*pointers, *numbers])})"

    def _moves(self) -> list[str]:
        """Return the signature, and the functions that load and store."""
        made = [self._signature]
        for name, kind in self.arrays.items():
            _, decode, encode = NUMBERS[kind]
            made.append(f"@device\ndef load_{name}(p, i):\n    return {decode.format('p[i]')}")
            made.append(f"@device\ndef store_{name}(p, i, x):\n    p[i] = {encode.format('x')}")
        return made


class _Writer:
    """Writes a kernel's text for one target."""

    def __init__(self, spec: Rows, target: str):
        self.spec, self.host, self.team = spec, target == "host", spec.form == "team"

    def entry(self) -> str:
        spec = self.spec
        scalars = [f"{name} = real(s_{name})" for name in spec.scalars]
        body = [*spec.extent, *(line for step in spec.steps for line in self._step(step))]
        head, decorated = f"def kernel({', '.join(spec.arguments)}):", ""
        if self.host:
            options = "error_model='numpy', boundscheck=False, cache=True"
            decorated = f"@cfunc(types.void(types.int64, *SIGNATURE.args), {options})\n"
            head = head.replace("kernel(", "kernel(blocks, ")
            body = [
                "lanes = np.empty(32, real)",
                "wide_lanes = np.empty(32, np.float64)",
                *scalars,
                "for row in range(rows):",
                *_indented(body),
            ]
        else:
            body = [*self._place(), *scalars, "if row < rows:", *_indented(body)]
        return f"{decorated}{head}\n" + "\n".join(_indented(cuda_text.typed("\n".join(body)).split("\n")))

    def _place(self) -> list[str]:
        """Return the lines that say which row a thread works on."""
        lines = ["thread = np.int64(cuda.threadIdx.x)", "block = np.int64(cuda.blockIdx.x)"]
        if not self.team:
            return [*lines, "row = block * THREADS + thread"]
        return [
            *lines,
            "lane = thread & 31",
            "warp = thread >> 5 if warps > 1 else np.int64(0)",
            f"row = block if warps > 1 else block * {THREADS // 32} + (thread >> 5)",
            f"shared = cuda.shared.array({MOST_WARPS}, types.float64)",
        ]

    def _step(self, step: Pass | Once) -> list[str]:
        if isinstance(step, Once):
            stores = [f"store_{name}(p_{name}, row, {value})" for name, value in step.stores.items()]
            alone = self.team and not self.host and stores
            return [*step.lines, *(["if lane == 0 and warp == 0:", *_indented(stores)] if alone else stores)]
        for how, _ in step.sums.values():
            if how not in FOLDS or (self.team and how == "real"):
                raise ValueError(f"{self.spec.name}: expected a fold of {self.spec.form}s, got {how!r}")
        begin = [f"{name} = {BEGIN.get(how, 'np.float64(0)')}" for name, (how, _) in step.sums.items()]
        walk = self._walk_parts(step) if self.team else self._walk_row(step)
        return [*begin, *([f"if {step.when}:", *_indented(walk)] if step.when else walk)]

    def _element(self, step: Pass, to: Mapping[str, str]) -> list[str]:
        """Return the lines of one element: loads, lines, sums into `to`, stores."""
        lines = [
            f"i = {self.spec.index}",
            *(f"{name} = load_{name}(p_{name}, i)" for name in self.spec.read(step)),
            *step.lines,
        ]
        for name, (how, expression) in step.sums.items():
            own, new = to[name], f"new_{name}"
            if how in ("max", "least"):
                value = expression if how == "max" else f"np.int32({expression})"
                lines += [f"{new} = {value}", f"{own} = {new} if {new} {'>' if how == 'max' else '<'} {own} else {own}"]
            else:
                lines.append(f"{own} = {own} + ({expression})")
        return lines + [f"store_{name}(p_{name}, i, {value})" for name, value in step.stores.items()]

    def _walk_row(self, step: Pass) -> list[str]:
        to = {name: f"own_{name}" if how in SUMS else name for name, (how, _) in step.sums.items()}
        sums = [name for name, (how, _) in step.sums.items() if how in SUMS]
        lines = self._owns(step)
        lines += ["for c in range(columns):", *_indented(self._element(step, to))]
        return lines + [f"{name} = np.float64(own_{name})" for name in sums]

    def _walk_parts(self, step: Pass) -> list[str]:
        """Return the lines that walk a row part by part, and fold each part's sums."""
        sums = {name: how for name, (how, _) in step.sums.items() if how in SUMS}
        to = {name: f"own_{name}" if name in sums else name for name in step.sums}
        begin = self._owns(step)
        lane = ["c = first + lane", "while c < stop:", *_indented([*self._element(step, to), "c += 32"])]
        folds = [line for name, how in sums.items() for line in self._fold(name, how)]
        if self.host:
            if len(sums) > 1:  # a walk for each, so that one array of lanes will do
                return [line for name in step.sums for line in self._walk_parts(self._alone(step, name))]
            keep = [f"{'wide_lanes' if how == 'wide' else 'lanes'}[lane] = own_{name}" for name, how in sums.items()]
            part = ["stop = min(first + 1024, columns)", "for lane in range(32):", *_indented([*begin, *lane, *keep])]
            return ["for first in range(0, columns, 1024):", *_indented([*part, *folds])]
        part = [f"first = start + {PART} * warp", f"stop = min(first + {PART}, columns)", *begin, *lane, *folds]
        lines = ["start = np.int64(0)", "while start < columns:", *_indented([*part, f"start += {PART} * warps"])]
        others = {"max": "largest", "least": "least"}
        return lines + [
            f"{name} = team_{others[how]}({name}, lane, warp, warps, shared)"
            for name, (how, _) in step.sums.items() if how in others
        ]  # fmt: skip

    def _owns(self, step: Pass) -> list[str]:
        """Return the lines with which a lane's sums begin."""
        sums = {name: how for name, (how, _) in step.sums.items() if how in SUMS}
        return [f"own_{name} = {'np.float64(0)' if how == 'wide' else 'real(0)'}" for name, how in sums.items()]

    def _alone(self, step: Pass, name: str) -> Pass:
        if step.stores:
            raise ValueError(f"{self.spec.name}: expected one sum in a pass that stores")
        return step._replace(sums={name: step.sums[name]})

    def _fold(self, name: str, how: str) -> list[str]:
        """Return the lines that add a part's sum, which lies in lanes, to a row's."""
        ordered = {"lanes": "", "wide": "", "row": "columns < 32", "parts": "stop - first < 32"}[how]
        if self.host:
            halves = "folded(wide_lanes)" if how == "wide" else "folded(lanes)"
            in_order = "np.float64(in_order(lanes, stop - first))"
            return [f"{name} = {name} + ({f'{in_order} if {ordered} else {halves}' if ordered else halves})"]
        own, count = f"own_{name}", "np.int32(max(stop - first, 0))"
        folded = f"warp_sum({own})"
        if ordered:
            folded = f"warp_in_order({own}, {count}) if {ordered} else {folded}"
        return [
            f"folded_{name} = np.float64({folded})",
            f"{name} = team_add({name}, folded_{name}, lane, warp, warps, shared)",
        ]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
