"""Parameters come as an array, a sequence or a mapping of arrays, or as groups of those; gradients in the same form."""

from collections.abc import Mapping
from typing import Any

from fastopt import _check


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
        self.leaves: list[Any] = []
        self.group_of: list[int] = []
        self._forms: list[Any] = []
        for k, entry in enumerate(params if self.grouped else [{"params": params}]):
            name = f"params[{k}]" if self.grouped else "params"
            if not isinstance(entry, Mapping) or "params" not in entry:
                raise ValueError(f"{name}: expected a group with the key 'params', got {_check.describe(entry)}")
            self.options.append({key: value for key, value in entry.items() if key != "params"})
            form = entry["params"]
            for leaf_name, leaf in _leaves(form, f"{name}['params']" if self.grouped else name):
                self.names.append(leaf_name)
                self.leaves.append(leaf)
                self.group_of.append(k)
            # the form alone: keys, or a length, or None for a single array
            self._forms.append(list(form) if isinstance(form, Mapping) else self._length(form))
        if not self.leaves:
            raise ValueError("params: expected at least one array, got none")

    @staticmethod
    def _length(form: Any) -> int | None:
        return len(form) if isinstance(form, list | tuple) else None

    def flatten(self, tree: Any, name: str) -> list[Any]:
        """Return the leaves of another tree of this form, in the parameters' order."""
        trees = [tree]
        if self.grouped:
            if not isinstance(tree, list | tuple) or len(tree) != len(self._forms):
                raise ValueError(f"{name}: expected a list of {len(self._forms)} groups, got {_check.describe(tree)}")
            trees = list(tree)
        flat: list[Any] = []
        for k, (part, form) in enumerate(zip(trees, self._forms, strict=True)):
            part_name = f"{name}[{k}]" if self.grouped else name
            if isinstance(form, list):
                if not isinstance(part, Mapping) or part.keys() != set(form):
                    got = f"the keys {sorted(map(str, part))}" if isinstance(part, Mapping) else _check.describe(part)
                    raise ValueError(f"{part_name}: expected the keys {sorted(map(str, form))}, got {got}")
                flat += [part[key] for key in form]
            elif form is not None:
                if not isinstance(part, list | tuple) or len(part) != form:
                    got = f"{len(part)}" if isinstance(part, list | tuple) else _check.describe(part)
                    raise ValueError(f"{part_name}: expected a list of {form} gradients, got {got}")
                flat += part
            else:
                flat.append(part)
        return flat

    def build(self, leaves: list[Any]) -> Any:
        """Return the leaves in the form that the parameters came in."""
        rest = iter(leaves)
        parts: list[Any] = []
        for form in self._forms:
            if isinstance(form, list):
                parts.append({key: next(rest) for key in form})
            else:
                parts.append(next(rest) if form is None else [next(rest) for _ in range(form)])
        return parts if self.grouped else parts[0]


def _leaves(form: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(form, Mapping):
        return [(f"{name}[{key!r}]", value) for key, value in form.items()]
    if isinstance(form, list | tuple):
        return [(f"{name}[{i}]", value) for i, value in enumerate(form)]
    return [(name, form)]
