"""Options of losses: stated once, in a constructor's signature, and checked whenever they are set. And the functions
that are made of the classes."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from fastopt import expect

Check = Callable[[Any, str], Any]  # (value, name) -> the value, checked


class Options(expect.Named):
    """Base of what has options: the arguments of the constructor, each with its domain, are its attributes."""

    _checks: ClassVar[dict[str, Check]]  # of the constructor's arguments, from their annotations

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            code, stated = cls.__init__.__code__, cls.__init__.__annotations__
            names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
            cls._checks = {name: check_of(stated.get(name), f"{cls.__name__}.{name}") for name in names}

    def __init__(self, **options: Any):
        self._set(options)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._checks:
            raise AttributeError(f"{name}: {expect.unknown(name, self._checks)}")
        self._set({name: value})

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name}: expected options to stay, got del; set it to another value instead")

    def _set(self, options: dict[str, Any]) -> None:
        for name in options:
            if name not in self._checks:  # a constructor that hands on **options has let it pass
                raise TypeError(f"{name}: {expect.unknown(name, self._checks)}")
        found = {name: self._checks[name](value, name) for name, value in options.items()}
        self._check_together(vars(self) | found)
        vars(self).update(found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._checks)})"

    def _check_together(self, options: dict[str, Any]) -> None:
        """Refuse options that don't go together."""


def check_of(stated: Any, whose: str) -> Check:
    """Return the check of an option, which its annotation states.

    A flag is `bool`; a choice is `Literal`; a number is `Annotated[float, domain]` (`float | None`: or nothing), and
    anything else `Annotated[type, check]`.
    """
    if stated is bool:
        return expect.flag
    if get_origin(stated) is Literal:
        return lambda value, name: expect.choice(value, name, get_args(stated))
    if get_origin(stated) is not Annotated:
        raise TypeError(f"{whose}: expected an annotation with its domain, got {stated!r}")
    kind, domain = get_args(stated)[:2]
    if callable(domain):
        return domain
    if NoneType in get_args(kind):
        return lambda value, name: None if value is None else expect.number(value, name, domain)
    return lambda value, name: expect.number(value, name, domain)


# ---- functions

ARRAYS = """\
{arrays} : float32 or float64 arrays of one shape (..., elements)
    As said below; labels are integers, of the samples' shape."""
CALL = """\
sample_weight, mask : arrays of the samples' shape, or None, default None
    Weights ≥ 0, and False for samples that don't count, as in :meth:`Loss.value_and_grad`."""
RETURNS = """\
Returns
-------
float, or an array of the samples' values with reduction "none\""""


def function_of(cls: Any, name: str) -> Callable[..., Any]:
    """Return the function of a loss's value: the arrays of its call, the options of its constructor in their order,
    and `sample_weight` and `mask` by keyword."""
    call = list(inspect.signature(cls.__call__).parameters.values())[1:]
    taken = list(map(_plain, list(inspect.signature(cls.__init__).parameters.values())[1:]))
    arrays = [one for one in call if one.name not in ("sample_weight", "mask")]
    behind = [one.replace(kind=one.KEYWORD_ONLY) for one in call if one not in arrays]
    if any(one.default is None for one in arrays):  # then no option stands behind them
        taken = [one.replace(kind=one.KEYWORD_ONLY) for one in taken]
    count, names = len(arrays), [one.name for one in call]
    known = [*names, *(one.name for one in taken)]

    kept = lru_cache(maxsize=64, typed=True)(cls)  # the options of one call after the other are mostly the same

    def function(*args: Any, **keywords: Any) -> Any:
        for key in keywords:
            if key not in known:
                raise TypeError(f"{key}: {expect.unknown(key, known)}")
        given = {key: keywords.pop(key) for key in names if key in keywords}
        loss = None
        with suppress(Exception):  # of what has no hash, as arrays among the options; a refused option is refused below
            loss = kept(*args[count:], **keywords)
        return (loss or cls(*args[count:], **keywords))(*args[:count], **given)

    positional = [one for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
    by_keyword = [one for one in taken if one.kind is one.KEYWORD_ONLY]
    function.__name__ = function.__qualname__ = name
    function.__module__ = cls.__module__
    function.__signature__ = inspect.Signature([*arrays, *positional, *by_keyword, *behind])  # type: ignore[attr-defined]
    function.__doc__ = document(cls, [one.name for one in arrays]) if cls.__doc__ else None  # `python -OO`: none
    return function


def _plain(option: inspect.Parameter) -> inspect.Parameter:
    """Return an argument without its domain, which its text says."""
    stated = option.annotation
    return option.replace(annotation=get_args(stated)[0]) if get_origin(stated) is Annotated else option


def document(cls: Any, arrays: list[str]) -> str:
    """Return the function's docstring: its class's, with the arguments of a call around the options."""
    head, _, rest = inspect.cleandoc(cls.__doc__).partition("Parameters\n----------\n")
    options, _, rest = rest.partition("\n\nRaises\n------\n")
    given = ARRAYS.format(arrays=", ".join(arrays))
    return (
        f"{head}The value of :class:`{cls.__name__}`.\n\nParameters\n----------\n{given}\n{options}\n{CALL}\n\n"
        f"{RETURNS}\n\nRaises\n------\n{rest}"
    )
