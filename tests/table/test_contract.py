"""What the files of a room, the table and the public names owe each other.

Fails when an op is missing in a file, when names differ between targets, when a docstring lacks what users need.
"""

import ast
import doctest
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.table import FAMILIES, OPS

ROOT = Path(__file__).parents[2]
MODULES = [path for folder in ("fastopt", "kernels") for path in sorted((ROOT / folder).rglob("*.py"))]
SOURCES = [*MODULES, *sorted((ROOT / "kernels").rglob("*.p[yx][xd]")), *sorted((ROOT / "kernels").rglob("*.h"))]
ADAPTERS = ("torch", "keras", "jax", "sklearn")  # their examples run in tests/hosts
WITH_EXAMPLES = [path for path in MODULES if ">>>" in path.read_text() and not set(path.parts) & set(ADAPTERS)]
LONGEST = 300  # lines of code in a module
LONGEST_OF_KERNELS = 350  # where kernels stand one after the other (compiled*.pyx, jit*.py), each read by itself

KERNELS = {(kernel.family, kernel.name): kernel for op in OPS for kernel in op.kernels}
EACH_OP = [pytest.param(op, id=op.name) for op in OPS]
EACH_KERNEL = [pytest.param(kernel, id=f"{family}-{name}") for (family, name), kernel in KERNELS.items()]
for_each_family = pytest.mark.parametrize("family", [f for f in FAMILIES if any(op.family == f for op in OPS)])


def dotted(path):
    """Return the name that a file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "fastopt" else ("fastopt", *parts)).removesuffix(".__init__")


def room(family, file):
    return importlib.import_module(f"fastopt.kernels.{family}.{file}")


def texts(family, stem):
    """Return the texts of a file and of its parts: compiled.pyx and compiled_*.pyx, jit.py and jit_*.py."""
    folder = ROOT / "kernels" / family
    return [path.read_text() for kind in ("py", "pyx") for path in sorted(folder.glob(f"{stem}*.{kind}"))]


def functions(family, stem):
    """Return the functions of a file, and of each of its parts, in the order of each; of a .pyx, its kernels."""
    return [re.findall(r"^(?:def|cdef cloned_void) (\w+)\(", text, flags=re.MULTILINE) for text in texts(family, stem)]


def assert_in_order(parts, wanted):
    """Each part holds some of the names in this order, and all together each once."""
    found = [[name for name in part if name in wanted] for part in parts]
    assert sorted(name for part in found for name in part) == sorted(wanted)
    for part in found:
        assert part == [name for name in wanted if name in part]


def public(op):
    """Return what people call: a function of the op's name, or a class of it in another case."""
    module = getattr(fo, op.family)
    exact = op.name in module.__all__
    return getattr(module, op.name if exact else next(name for name in module.__all__ if name.lower() == op.name))


# ---- every op in every file, in the same order


@for_each_family
def test_the_kernels_of_the_table_are_those_of_the_files(family):
    wanted = [kernel.name for kernel in room(family, "kernels").KERNELS.values()]
    assert set(wanted) == {name for f, name in KERNELS if f == family}, "a kernel that no op runs, or no row names"
    assert sorted(room(family, "compiled").KERNELS) == sorted(wanted)
    assert_in_order(functions(family, "compiled"), wanted)
    for stem, rule in (("rules", True), ("jit", False)):
        listed = [kernel.name for kernel in room(family, "kernels").KERNELS.values() if kernel.rule == rule]
        assert_in_order(functions(family, stem), listed)


@for_each_family
def test_compiled_kernels_have_an_address_for_each_type(family):
    addresses = [address for pair in room(family, "compiled").KERNELS.values() for address in pair]
    assert len(addresses) == len(DTYPES) * len(room(family, "compiled").KERNELS)
    assert len(set(addresses)) == len(addresses)
    assert all(addresses)


@for_each_family
def test_ops_stand_in_the_same_order_everywhere(family):
    ops = [op.name for op in OPS if op.family == family]
    assert_in_order(functions(family, "reference"), ops)
    module = getattr(fo, family)
    plain = str.lower if family == "optimizers" else str  # a row is named after the class there, the function elsewhere
    public = {name for name in module.__all__ if plain(name) in ops and getattr(module, name).__name__ == name}
    assert {plain(name) for name in public} == set(ops)
    files = {inspect.getfile(inspect.unwrap(getattr(module, name))) for name in public}  # a family may have several
    for file in files:
        found = re.findall(r"^(?:def |class )?(\w+)(?:\(| = function_of)", Path(file).read_text(), flags=re.MULTILINE)
        shown = [plain(name) for name in found if name in public]
        assert shown == [name for name in ops if name in shown], file


# ---- the same names on every target


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_cython_binds_the_names_of_the_row(kernel):
    source = "\n\n".join(texts(kernel.family, "compiled"))
    body = re.split(rf"^cdef cloned_void {kernel.name}\(", source, flags=re.MULTILINE)[1]
    body = re.split(r"^\S", body.split("noexcept nogil:", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    found = bindings(body)
    assert [found.get(("buffers", k)) for k in range(len(kernel.buffers))] == list(kernel.buffers)
    for (kind, k), name in found.items():  # kernels of one pipeline share dims and scalars; each binds what it needs
        assert getattr(kernel, kind)[k] == name


def bindings(body):
    found = re.findall(r"(\w+) = (?:<[\w *]+> ?|\w+\()?(buffers|dims|scalars)\[(\d+)\]", body)
    return {(kind, int(k)): name for name, kind, k in found}


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_numba_takes_the_names_of_the_row(kernel):
    if kernel.rule:
        taken = list(inspect.signature(getattr(room(kernel.family, "rules"), kernel.name)).parameters)
        assert taken == [*(name for name in kernel.buffers if name in taken), *kernel.scalars]
        return
    body = getattr(room(kernel.family, "jit"), kernel.name)
    taken = list(inspect.signature(body).parameters)
    assert taken == [*kernel.buffers, "dims", "scalars", "start", "stop", "partials"]
    for kind, k, name in assignments(inspect.getsource(body)):
        assert getattr(kernel, kind)[k] == name


def assignments(source):
    """Yield what a body in Numba's Python takes from its dims and scalars: a, b = dims[0], dims[1], in pairs."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        for name, taken in zip(target.elts, value.elts) if both else [(target, value)]:
            found = re.search(r"\b(dims|scalars)\[(\d+)\]", ast.unparse(taken))
            if found and isinstance(name, ast.Name):
                yield found[1], int(found[2]), name.id


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_rows_of_kernels_make_sense(kernel):
    assert set(kernel.written) <= set(kernel.buffers)
    assert set(kernel.types) <= set(kernel.buffers)
    names = (*kernel.buffers, *kernel.dims, *kernel.scalars)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("op", EACH_OP)
def test_the_reference_takes_the_options_that_people_give(op):
    reference = inspect.signature(getattr(room(op.family, "reference"), op.name)).parameters
    options = {name for name, parameter in reference.items() if parameter.kind is parameter.KEYWORD_ONLY}
    given = {name for name, p in inspect.signature(public(op)).parameters.items() if p.kind is not p.VAR_KEYWORD}
    if op.family == "optimizers":
        assert options - {"t"} == given - {"params"} - set(public(op).rule.only_at_start)
    assert options - {"t"} <= given
    assert {name for option in op.options for name in option} - given <= {"weighted", "given", "biased", "masked"}


# ---- complete rows


def test_names_of_ops_are_unique():
    assert len({(op.family, op.name) for op in OPS}) == len(OPS)


@pytest.mark.parametrize("op", EACH_OP)
def test_rows_of_ops_are_complete(op):
    assert op.family in FAMILIES
    assert op.source
    assert op.options
    assert all(op.options.count(option) == 1 for option in op.options)
    sizes = [int(np.prod(shape)) for shape in op.shapes]
    assert len(set(op.shapes)) == len(op.shapes) >= 8
    assert max(sizes) > 1000  # more than one block
    assert op.tolerance.keys() == set(DTYPES)
    assert all(0 <= part <= 1e-4 for part in op.tolerance["float32"])
    assert all(0 <= part <= 1e-11 for part in op.tolerance["float64"])
    assert len({wrong.what for wrong in op.wrong}) == len(op.wrong) >= 3
    assert all(wrong.words for wrong in op.wrong)
    assert op.bench


@pytest.mark.parametrize("op", EACH_OP)
def test_traffic_is_counted_and_inputs_are_reproducible(op):
    for k, options in enumerate(op.options):
        shape = max(op.shapes, key=np.prod)
        one, other = (op.inputs(np.random.default_rng(k), shape, "float32", options) for _ in range(2))
        np.testing.assert_equal(one, other)
        assert op.traffic(options, one) >= max(array.nbytes for array in one.values())


# ---- what people read


def documented():
    for name in fo.__all__:
        value = getattr(fo, name)
        if inspect.ismodule(value):
            yield from (pytest.param(getattr(value, part), id=f"{name}.{part}") for part in value.__all__)
        else:
            yield pytest.param(value, id=name)


def sections(value):
    """Return a docstring's sections by title; what stands before them is ''."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[0::2], strict=True))


def parameters(section):
    """Return the parameters that a section describes, each with the text of its first line."""
    found = {}
    for names, kind in re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : (.*))?$", section, flags=re.MULTILINE):
        found.update({name.strip().lstrip("*"): kind for name in names.split(",")})
    return found


def methods(value):
    return [(name, part) for name, part in vars(value).items() if name[0] != "_" and inspect.isfunction(part)]


for_each_public = pytest.mark.parametrize("value", list(documented()))


@for_each_public
def test_public_names_are_documented(value):
    found = sections(value)
    assert re.match(r"[^\n]+\.(\n|$)", found[""]), "a first line, ended by a full stop"
    if not callable(value):
        return
    taken = inspect.signature(value).parameters
    if taken:
        assert set(taken) <= set(parameters(found["Parameters"])), "Parameters"
        assert found["Raises"].strip()
    if inspect.isfunction(value) and inspect.signature(value).return_annotation not in (None, "None"):
        assert found["Returns"].strip() or "Yields" in found
    assert ">>>" in found["Examples"]
    if inspect.isclass(value):
        for name, method in methods(value):
            assert inspect.getdoc(method), f"{name} has no docstring"


@for_each_public
def test_documented_defaults_are_the_defaults(value):
    if not callable(value):
        return
    taken = inspect.signature(value).parameters
    for name, kind in parameters(sections(value).get("Parameters", "")).items():
        stated = re.search(r"\bdefault (.+)$", kind)
        if stated and name in taken:
            assert ast.literal_eval(stated[1]) == taken[name].default, f"{name}: {kind}"


@for_each_public
def test_numbers_state_their_range(value):
    if not callable(value):
        return
    for name, kind in parameters(sections(value).get("Parameters", "")).items():
        if kind.startswith(("float", "int ", "two floats")):
            assert re.search(r"[≥>≤<\[(]", kind), f"{name}: {kind!r} states no range"


@pytest.mark.parametrize("op", EACH_OP)
def test_ops_state_shapes_dtypes_and_source(op):
    found = sections(public(op))
    told = found["Parameters"]
    if "As in :class:`Optimizer`" in told:  # what optimizers share is said once
        told += sections(fo.optimizers.Optimizer)["Parameters"]
    assert re.search(r"float32", told)
    assert re.search(r"\bshapes?\b|\(N\b|\(\)", told)
    assert re.search(r"\b(1[789]|20)\d\d\b", found["References"]) or "torch" in found["References"], "a paper's year"
    assert re.search(r"Keras|torch", " ".join(found.values())), "how rivals do it"


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: "-".join(path.parts[-2:]))
def test_the_examples_run(path):
    threads = fo.get_num_threads()
    result = doctest.testmod(importlib.import_module(dotted(path)))
    fo.set_num_threads(threads)
    assert result.failed == 0


def test_every_public_class_and_function_has_an_example():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for family in FAMILIES:
        module = getattr(fo, family, None)
        for name in getattr(module, "__all__", ()):
            assert any(test.examples for test in finder.find(getattr(module, name), name)), f"{family}.{name}"


def test_every_name_of_all_exists():
    for path in MODULES:
        if not re.search(r"^__all__", path.read_text(), flags=re.MULTILINE) or set(path.parts) & set(ADAPTERS):
            continue
        name = dotted(path)
        module = importlib.import_module(name)
        assert len(set(module.__all__)) == len(module.__all__), name
        assert all(hasattr(module, part) for part in module.__all__), name


# ---- the house


def code_lines(path):
    """Return a file's lines, docstrings, comments and blank lines aside."""
    source = re.sub(r'"""(?:[^"]|"(?!""))*"""', "", path.read_text())
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    return [line for line in source.splitlines() if line.strip() and not line.strip().startswith(("#", "//"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "-".join(path.parts[-2:]))
def test_modules_are_short_and_finished(path):
    of_kernels = path.stem.startswith(("compiled", "jit"))
    assert len(code_lines(path)) <= (LONGEST_OF_KERNELS if of_kernels else LONGEST)
    assert not re.search(r"\b(TO" + "DO|FIX" + r"ME|XXX|HACK)\b", path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "-".join(path.parts[-2:]))
def test_modules_say_what_they_are(path):
    if path.read_text().strip() in ("", "OPS = ()"):
        pytest.skip("an empty file")
    assert ast.get_docstring(ast.parse(path.read_text())), "a module docstring"


def test_the_readme_names_every_file_of_the_kernels():
    named = set(re.findall(r"`([\w*]+)", (ROOT / "kernels" / "README.md").read_text()))
    files = [path for path in SOURCES if path.parts[-3] == "kernels" and path.name != "__init__.py"]
    unnamed = [path for path in files if path.stem not in named and path.stem.split("_")[0] + "_*" not in named]
    assert unnamed == []


def test_the_kernels_import_under_their_own_name_alone():
    spec = importlib.util.spec_from_file_location("kernels", ROOT / "kernels" / "__init__.py")
    with pytest.raises(ImportError, match=r"fastopt\.kernels"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
