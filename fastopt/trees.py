"""Arrays come as an array, a sequence or a mapping of arrays, parameters also as groups of those; whatever belongs to
them (gradients, outputs) comes in the same form."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastopt import expect


class Tree:
    """The form that parameters came in, with a name for every leaf.

    Parameters
    ----------
    params : array, sequence of arrays, mapping of arrays, or list of groups
        A group is a mapping with the key "params" and the options that it names itself.
    """

    def __init__(self, params: Any):
        self.grouped = isinstance(params, list | tuple) and any(isinstance(entry, Mapping) for entry in params)
        self.options: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.keys: list[str] = []  # a leaf's own, in its group
        self.leaves: list[Any] = []
        self.group_of: list[int] = []
        self._forms: list[Any] = []
        for k, entry in enumerate(params if self.grouped else [{"params": params}]):
            name = f"params[{k}]" if self.grouped else "params"
            if not isinstance(entry, Mapping) or "params" not in entry:
                raise ValueError(f"{name}: expected a group with the key 'params', got {expect.describe(entry)}")
            self.options.append({key: value for key, value in entry.items() if key != "params"})
            form = entry["params"]
            found = leaves(form)
            self._forms.append(form_of(form))
            self.names += names(self._forms[k], f"{name}['params']" if self.grouped else name)
            self.leaves += found
            self.keys += keys(self._forms[k])
            self.group_of += [k] * len(found)
        if not self.leaves:
            raise ValueError("params: expected at least one array, got none")

    def flatten(self, tree: Any, name: str, of: str = "gradients") -> list[Any]:
        """Return the leaves of another tree of this form, in the parameters' order; `of` says what they are."""
        if not self.grouped:
            return alike(self._forms[0], tree, name, of)
        if not isinstance(tree, list | tuple) or len(tree) != len(self._forms):
            raise ValueError(f"{name}: expected a list of {len(self._forms)} groups, got {expect.describe(tree)}")
        flat: list[Any] = []
        for k, (part, form) in enumerate(zip(tree, self._forms, strict=True)):
            flat += alike(form, part, f"{name}[{k}]", of)
        return flat

    def extended(self, group: "Tree") -> "Tree":
        """Return the form of these parameters as a list of groups, with another one behind them."""
        made = Tree.__new__(Tree)
        made.grouped = True
        made.options, made._forms = self.options + group.options, self._forms + group._forms
        made.leaves, made.keys = self.leaves + group.leaves, self.keys + group.keys
        made.group_of = self.group_of + [len(self._forms)] * len(group.leaves)
        made.names = []
        for k, form in enumerate(made._forms):
            made.names += names(form, f"params[{k}]['params']")
        return made

    def build(self, leaves: list[Any]) -> Any:
        """Return the leaves in the form that the parameters came in."""
        rest = iter(leaves)
        parts = [built(form, rest) for form in self._forms]
        return parts if self.grouped else parts[0]


# ---- one array, sequence or mapping

Form = list[Any] | int | None  # the keys, or a length, or a single array


def form_of(tree: Any) -> Form:
    if isinstance(tree, Mapping):
        return list(tree)
    return len(tree) if isinstance(tree, list | tuple) else None


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, Mapping):
        return list(tree.values())
    return list(tree) if isinstance(tree, list | tuple) else [tree]


def names(form: Form, name: str) -> list[str]:
    """Return what each leaf is called in an error."""
    if form is None:
        return [name]
    return [f"{name}[{key!r}]" for key in (range(form) if isinstance(form, int) else form)]


def keys(form: Form) -> list[str]:
    """Return the key of each leaf as a string: of a mapping, or its place; nothing for an array by itself."""
    return [""] if form is None else [str(key) for key in (range(form) if isinstance(form, int) else form)]


def alike(form: Form, tree: Any, name: str, of: str) -> list[Any]:
    """Return the leaves of a tree of this form, in its order; `of` says what they are."""
    if isinstance(form, list):
        if not isinstance(tree, Mapping) or tree.keys() != set(form):
            got = f"the keys {sorted(map(str, tree))}" if isinstance(tree, Mapping) else expect.describe(tree)
            raise ValueError(f"{name}: expected the keys {sorted(map(str, form))}, got {got}")
        return [tree[key] for key in form]
    if form is not None and (not isinstance(tree, list | tuple) or len(tree) != form):
        got = f"{len(tree)}" if isinstance(tree, list | tuple) else expect.describe(tree)
        raise ValueError(f"{name}: expected a list of {form} {of}, got {got}")
    return [tree] if form is None else list(tree)


def built(form: Form, rest: Iterator[Any]) -> Any:
    """Return the next leaves in this form."""
    if isinstance(form, list):
        return {key: next(rest) for key in form}
    return next(rest) if form is None else [next(rest) for _ in range(form)]
