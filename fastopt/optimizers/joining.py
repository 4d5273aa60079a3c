"""Joining more parameters to those that an optimizer has."""

from collections.abc import Mapping
from typing import Any

from fastopt import expect
from fastopt.kernels.runtime.whole import whole
from fastopt.optimizers.store import Store


def add_group(store: Store, group: Any) -> None:
    """Take in another group of parameters, which have taken no step; where they can't be, nothing has been changed."""
    if not isinstance(group, Mapping):
        raise TypeError(f"group: expected a mapping with the key 'params', got {expect.describe(group)}")
    other = Store(store.rule, store.options, [group], store.hyper)
    first, steps = len(store.params), store.steps
    joined = Store.__new__(type(store))
    vars(joined).update(vars(store))
    joined.tree = store.tree.extended(other.tree)
    joined.names, joined.params = joined.tree.names, store.params + other.params
    joined.memories = store.memories + other.memories
    joined.build_tables()
    joined.shapes, joined.state = store.shapes + other.shapes, store.state + other.state
    joined.copies, joined.carried = store.copies + other.copies, store.carried + other.carried
    joined.group_of = store.group_of + [len(store.groups)] * len(other.params)
    added = range(first, first + len(other.params)) if steps else ()
    joined.behind = store.behind | {i: (0, dict(store.rule.carries)) for i in added}
    joined.see([dict(each) for each in store.groups + other.groups])
    if store.by_rows:
        for i in range(first, len(joined.params)):
            joined.state[i] |= joined.new_counts(i)
    whole([(store.groups.extend, (other.groups,), {}), (vars(store).update, (vars(joined),), {})])
