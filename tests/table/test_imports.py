"""Who imports whom: each floor of the house only what is below it, and no module itself by a way around."""

import ast
import importlib
from pathlib import Path

import pytest

import fastopt

ROOT = Path(__file__).parents[2]
FLOORS = (  # from the ground up
    {"kernels"},
    {"docstrings", "expect", "device_arrays", "report", "version"},
    {"normalization", "losses", "initializers", "metrics", "schedules", "trees"},
    {"optimizers", "arrays"},
    {"torch", "jax", "sklearn", ""},  # "": fastopt/__init__.py
    {"keras"},  # Keras's tensors are torch's on its torch backend
    {"table"},
    {"cli"},
    {"__main__"},
)


def modules():
    """Return the files of the package by the names that they are imported by."""
    found = {}
    for path in [*(ROOT / "fastopt").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts if parts[0] == "fastopt" else ("fastopt", *parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(name):
    """Return the modules of ours that a module imports, within its functions too, but not for a type checker alone."""
    tree = ast.parse(MODULES[name].read_text())
    hidden = {id(part) for node in ast.walk(tree) if is_for_types(node) for part in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {one for one in inner if is_ours(one)}
            found |= modules if len(modules) == len(inner) else {*modules, node.module}
    return {one for one in found if is_ours(one)}


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def is_ours(name):
    return name in MODULES


def room(name):
    return name.split(".")[1] if "." in name else ""


def floor(name):
    return next(height for height, rooms in enumerate(FLOORS) if room(name) in rooms)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_floor_imports_what_is_below(name):
    for other in imports(name):
        assert floor(other) < floor(name) or room(other) == room(name) or floor(name) == 1, f"{name} imports {other}"


def test_nothing_imports_itself_by_a_way_around():
    graph = {name: sorted(imports(name) - {name}) for name in MODULES}
    done = set()

    def walk(name, way):
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                walk(other, [*way, name])
            done.add(name)

    for name in graph:
        walk(name, [])


# ---- what a type checker is told of compiled modules


STUBS = sorted((ROOT / "kernels").rglob("*.pyi"))


@pytest.mark.parametrize("path", STUBS, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_stub_names_what_its_module_holds(path):
    module = importlib.import_module(".".join(("fastopt", *path.relative_to(ROOT).with_suffix("").parts)))
    body = ast.parse(path.read_text()).body
    told = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    told |= {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    assert told <= set(vars(module))
    held = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (getattr(value, "__module__", None) == module.__name__ or name.isupper())
    }
    assert held <= told, held - told


def test_every_compiled_module_that_python_imports_has_a_stub():
    compiled = {".".join(("fastopt", *path.relative_to(ROOT).with_suffix("").parts)) for path in STUBS}
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                source = ROOT.joinpath(*(name or "").split(".")[1:]).with_suffix(".pyx")
                if source.exists():
                    assert name in compiled, f"{path.name} imports {name}"


def test_the_package_says_that_it_is_typed():
    assert Path(fastopt.__file__).with_name("py.typed").exists()
