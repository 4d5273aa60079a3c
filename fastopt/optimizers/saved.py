"""What of an optimizer outlives the process: its state as a dict, as a file, and as torch's."""

import os
from collections.abc import Mapping
from typing import Any

from fastopt.kernels.runtime.turn import Turn
from fastopt.optimizers import checkpoint, torch_state
from fastopt.optimizers.store import Store


class Saved:
    """Base of :class:`Optimizer`: the methods that save and load what its store holds."""

    _store: Store
    _turn: Turn

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that a later run needs: steps, hyper-parameters (a schedule is None), state."""
        with self._turn:
            return checkpoint.state_dict(self._store)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; a group whose saved lr is None keeps its own schedule.

        Raises
        ------
        TypeError, ValueError
            If it is of another optimizer, other parameters, shapes or dtypes; nothing has been changed then.
        """
        with self._turn:
            checkpoint.load_state_dict(self._store, state_dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `state_dict` holds to a safetensors file; parameters are not part of it.

        The file is written beside its place and then moved there: whatever interrupts it, the old file or the new one
        is there, whole. Needs the package safetensors (`pip install 'fastopt[save]'`).

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If it can't be written.

        Examples
        --------
        >>> import numpy as np, fastopt as fo, tempfile, os
        >>> opt = fo.optimizers.Adam(np.ones(3))
        >>> opt.step(np.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     opt.save(os.path.join(folder, "adam.safetensors"))
        ...     other = fo.optimizers.Adam(np.ones(3))
        ...     other.load(os.path.join(folder, "adam.safetensors"))
        >>> other.steps
        1
        """
        checkpoint.save(self.state_dict(), path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take over what `save` wrote; a group whose saved lr is None (a schedule) keeps its own.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If there is no such file, it is damaged, or of another optimizer, other parameters, shapes or types;
            nothing has been changed then.
        """
        self.load_state_dict(checkpoint.load(path))

    def torch_state_dict(self) -> dict[str, Any]:
        """Return the state as the state_dict of torch's optimizer of this name, for its `load_state_dict`.

        Tensors own their memory, in the type that this optimizer computes in: bfloat16 and 8-bit state is decoded.
        A schedule becomes its present value. Averages and copies of parameters and their lost bits have no place in it.

        Returns
        -------
        dict
            "state" by the parameters' numbers, and "param_groups" with torch's own keys.

        Raises
        ------
        ImportError, ValueError
            If torch isn't installed, or has no such optimizer or option.

        Examples
        --------
        >>> import numpy as np, fastopt as fo
        >>> opt = fo.optimizers.Adam(np.ones(3))
        >>> opt.step(np.ones(3))
        >>> found = opt.torch_state_dict()
        >>> found["state"][0]["step"], found["param_groups"][0]["betas"]
        (tensor(1.), (0.9, 0.999))
        """
        self._store.expect_host("torch_state_dict")
        with self._turn:
            return torch_state.to_torch(self._store)

    def load_torch_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state_dict of torch's optimizer of this name: state, steps and hyper-parameters.

        Numbers are converted to how this optimizer keeps them: bfloat16 and 8-bit state is encoded. Schedules stay.
        torch counts no steps for SGD: there the number stays, too, and is at least 1 where there is momentum.

        Parameters
        ----------
        state_dict : mapping
            What `torch.optim.Optimizer.state_dict` returned, all parameters at the same step; or none of them stepped.

        Raises
        ------
        ImportError, TypeError, ValueError
            If torch isn't installed, has no such optimizer, or the state is of other parameters, shapes or options;
            nothing has been changed then.

        Examples
        --------
        >>> import numpy as np, fastopt as fo, torch
        >>> w = torch.nn.Parameter(torch.ones(3))
        >>> theirs = torch.optim.Adam([w], lr=0.5)
        >>> w.sum().backward()
        >>> theirs.step()
        >>> ours = fo.optimizers.Adam(w.detach().numpy())
        >>> ours.load_torch_state_dict(theirs.state_dict())
        >>> ours.steps, ours.lr
        (1, 0.5)
        """
        self._store.expect_host("load_torch_state_dict")
        with self._turn:
            torch_state.from_torch(self._store, state_dict)
