"""What an optimizer holds on a GPU: parameters as their library made them, state in memory of its own there."""

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any
from weakref import ref

import numpy as np

from fastopt.kernels.optimizers.recipe import FLOATS, Recipe
from fastopt.kernels.runtime import driver
from fastopt.kernels.runtime.cuda_arrays import (
    BYTES,
    DeviceArray,
    OwnArray,
    address_of,
    device_array,
    host_copy,
    packed_steps,
    quick,
    stream_of,
)  # fmt: skip
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.targets import way_of
from fastopt.optimizers.refusals import beside
from fastopt.optimizers.store import NONE, Store


class DeviceStore(Store):
    """Parameters on one device, and what is kept of them there; see :class:`Store`.

    Arrays must be packed, in C order. Steps run on the stream on which the first parameter's library works.
    """

    ordinal: int  # the device

    def taken(self, leaf: Any, name: str) -> DeviceArray:
        return self._place(leaf, name, writable=True)

    def _place(
        self, value: Any, name: str, shape: tuple[Any, ...] | None = None, writable: bool = False
    ) -> DeviceArray:
        """Return where an array is, if it can be used."""
        place = device_array(value, name)
        if place.dtype not in FLOATS:
            raise TypeError(f"{name}: expected {', '.join(FLOATS[:-1])} or {FLOATS[-1]}, got {place.dtype}")
        if shape is not None and place.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {place.shape}")
        if place.layout != packed_steps(place.shape):
            raise ValueError(
                f"{name}: expected a packed array in C order under target 'cuda', got strides {place.steps}"
            )
        if writable and not place.writable:
            raise ValueError(f"{name}: expected a writable array, got a read-only one")
        first = self.__dict__.setdefault("ordinal", place.ordinal)
        if place.ordinal != first:
            raise ValueError(
                f"{name}: expected an array on GPU {first}, as the first parameter is, got GPU {place.ordinal}"
            )
        return place

    def door(self) -> ModuleType:
        target = get_target()
        if target != "cuda":
            raise TypeError(
                f"step: expected target 'cuda', for the parameters are on a GPU, got {target!r}: with "
                "fastopt.target('cuda'): ..."
            )
        return way_of("optimizers", target)

    def zero(self, gradients: list[Any]) -> None:
        stream = stream_of(self.params[0].owner)
        for gradient in gradients:
            place = device_array(gradient, "grads")
            self.device.driver.call("cuMemsetD8Async", place.address, 0, place.nbytes, stream)

    def expect_host(self, name: str) -> None:
        raise NotImplementedError(f"{name}: not for parameters on a GPU yet")

    @staticmethod
    def put(array: OwnArray, values: np.ndarray) -> Call:
        return array.fill, (values,), {}

    def check_params(self) -> None:
        self._again()

    # ---- state

    def _begin_state(self) -> None:
        """Make state; what does not begin with zeros is worked out on the host, and sent."""
        self.device = driver.driver().device(self.ordinal)
        self.state, self.copies = [], []
        for i, place in enumerate(self.params):
            recipe, group = self.recipe(i), self.groups[self.group_of[i]]
            refusal = _door().refusal(recipe)
            if refusal:
                raise NotImplementedError(f"{self.names[i]}: {refusal}")
            own = {name: OwnArray(self.device, shape, dtype) for name, (dtype, shape) in self._layout(i).items()}
            if recipe.average or recipe.copy or self.rule.begins_with_values:
                self.device.synchronize()
                host = {name: np.zeros(array.shape, array.dtype) for name, array in own.items()}
                self._begin_on_host(i, group, host_copy(place), host)
                for name, array in own.items():
                    array.fill(host[name])
            if recipe.copy:
                self.copies.append(own.pop("copy"))
            self.state.append(own)

    def _begin_on_host(self, i: int, group: dict[str, Any], param: np.ndarray, state: dict[str, np.ndarray]) -> None:
        places, self.params = self.params, [*self.params[:i], param, *self.params[i + 1 :]]
        try:
            self._begin(i, group, state)
        finally:
            self.params = places

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("an optimizer on a GPU can't be copied or pickled; use state_dict()")

    # ---- tables

    def build_tables(self) -> None:
        """Refuse parameters that overlap, and keep the ranges of memory that gradients must stay out of."""
        ranges = sorted((place.address, place.address + place.nbytes, k) for k, place in enumerate(self.params))
        ranges = [each for each in ranges if each[0] < each[1]]
        for (_, stop, i), (start, _, j) in pairwise(ranges):
            if start < stop:
                raise ValueError(
                    f"{self.names[j]}: expected memory apart from every other parameter, got an overlap with "
                    f"{self.names[i]}"
                )
        self._sizes = [place.size for place in self.params]
        own = [array.place for state in self.state for array in state.values()] + [copy.place for copy in self.copies]
        taken = sorted([each[:2] for each in ranges] + [(p.address, p.address + p.nbytes) for p in own if p.nbytes])
        self._starts = np.array([start for start, _ in taken], np.uint64)
        self._stops = np.array([stop for _, stop in taken], np.uint64)
        self._on_device: dict[tuple[str, ...], list[Any]] = {}
        self._seen: list[tuple[Any, int]] = []  # the last step's gradients: a weak reference, and where it was
        self._kinds: tuple[str, ...] = ()  # their types
        self._zeroed = False  # whether they were found apart from each other, too

    def _again(self) -> None:
        """Look where the parameters are now: their library may have given them other memory."""
        if all(address_of(place.owner) == place.address for place in self.params):
            return
        moved = [
            self._place(place.owner, name, shape, writable=True)
            for place, name, shape in zip(self.params, self.names, self.shapes, strict=True)
        ]
        if [place.dtype for place in moved] != [place.dtype for place in self.params]:
            raise TypeError("params: expected the dtypes that the optimizer was made with, got others")
        self.params = moved
        self.build_tables()

    def bind(
        self, gradients: list[Any], zeroed: bool, rows: list[int] | None = None, missing: set[int] = NONE
    ) -> list[Any]:  # fmt: skip
        """Return the batches of a step, with their arrays bound; raises if one can't be used."""
        if missing:
            self.expect_host("skip_missing")
        if self.options.clip_each is not None:
            self.expect_host("clip_each")
        self.door()
        self._again()
        if not self._same(gradients, zeroed):
            found = self._quick(gradients, zeroed) or self._checked_gradients(gradients, zeroed)
            self._seen = [(_weak(gradient), address) for gradient, (address, _) in zip(gradients, found, strict=True)]
            self._kinds, self._zeroed = tuple([kind for _, kind in found]), zeroed
            if self._kinds not in self._on_device:
                self._on_device[self._kinds] = self._batches_of(self._kinds)
        batches, stream = self._on_device[self._kinds], stream_of(self.params[0].owner)
        for batch in batches:
            batch.bind([self._seen[i][1] for i in batch.members], stream)
        return batches

    def _same(self, gradients: list[Any], zeroed: bool) -> bool:
        """Whether gradients are the last step's, where they were then."""
        if len(self._seen) != len(gradients) or (zeroed and not self._zeroed):
            return False
        return all(
            weak is not None and weak() is gradient and address_of(gradient) == address
            for gradient, (weak, address) in zip(gradients, self._seen)
        )

    @staticmethod
    def release(batches: Sequence[Any]) -> None:
        """Gradients are not kept: what a launch reads is freed, if at all, behind it on its stream."""

    def _quick(self, gradients: list[Any], zeroed: bool) -> list[tuple[int, str]] | None:
        """Return addresses and dtypes of gradients that can be used as they are; None where it takes a longer look."""
        found = [quick(gradient, shape, self.ordinal) for gradient, shape in zip(gradients, self.shapes)]
        if zeroed or not all(one is not None and one[1] in FLOATS for one in found):
            return None
        places = [one[:2] for one in found if one is not None]
        first = np.array([address for address, _ in places], np.uint64)
        last = first + np.array([size * BYTES[kind] for size, (_, kind) in zip(self._sizes, places)], np.uint64)
        nearest = np.searchsorted(self._stops, first, side="right")
        reaches = self._starts[np.minimum(nearest, len(self._starts) - 1)] < last if len(self._starts) else last < 0
        return None if ((nearest < len(self._starts)) & reaches & (first < last)).any() else places

    def _checked_gradients(self, gradients: list[Any], zeroed: bool) -> list[tuple[int, str]]:
        """Return addresses and dtypes of gradients, or raise for one that can't be used."""
        places = []
        for name, shape, gradient in zip(self.names, self.shapes, gradients, strict=True):
            own = beside(name, "grads")
            if gradient is None:
                raise ValueError(f"{own}: expected a gradient for every parameter, got None")
            place = self._place(gradient, own, shape, writable=zeroed)
            nearest = int(np.searchsorted(self._stops, np.uint64(place.address), side="right"))
            if place.nbytes and nearest < len(self._starts) and self._starts[nearest] < place.address + place.nbytes:
                raise ValueError(
                    f"{own}: expected memory apart from the parameters and the optimizer's own, got an overlap"
                )
            places.append(place)
        ordered = sorted((place.address, place.address + place.nbytes) for place in places if place.nbytes)
        if zeroed and any(start < stop for (_, stop), (start, _) in pairwise(ordered)):
            raise ValueError("grads: expected memory apart from every other gradient with zero_grads, got an overlap")
        return [(place.address, place.dtype) for place in places]

    def _batches_of(self, kinds: tuple[str, ...]) -> list[Any]:
        members: dict[Recipe, list[int]] = {}
        for i, kind in enumerate(kinds):
            members.setdefault(self.recipe(i, kind), []).append(i)
        return [self._device_batch(recipe, indices) for recipe, indices in members.items()]

    def _device_batch(self, recipe: Recipe, indices: list[int]) -> Any:
        columns = {"param": [self.params[i] for i in indices]}
        columns |= {"copy": [self.copies[i].place for i in indices]} if recipe.copy else {}
        kept = [name for name in recipe.columns if name not in (*columns, "grad")]
        columns |= {name: [self.state[i][name].place for i in indices] for name in kept}
        rows = [self.group_of[i] for i in indices]
        return _door().DeviceBatch(self.device, recipe, columns, rows, indices, len(self.groups), self.rule.layers)


def _weak(array: Any) -> Any:
    """Return a weak reference to an array; None where its library allows none."""
    try:
        return ref(array)
    except TypeError:
        return None


def _door() -> ModuleType:
    from fastopt.kernels.optimizers import cuda

    return cuda
