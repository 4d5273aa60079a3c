"""Names of arguments: a misspelt one is told the nearest that there is."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import CO_VARKEYWORDS
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def shown(value: Any) -> str:
    """Return the `repr` of what came, on one line and not at length; some raise, as an array's that JAX has deleted."""
    try:
        return " ".join(repr(value).split())[:80]
    except Exception:
        return f"an object of type {type(value).__name__}"


def unknown(name: Any, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Return the sentence for an argument that there is not: the nearest that there is, and all of them."""
    from difflib import get_close_matches  # a millisecond that few programs need

    names = list(known)
    near = [(synonyms or {}).get(name, ""), *get_close_matches(str(name), names, 1)]
    meant = next((f"; did you mean {each!r}?" for each in near if each in names), "")
    return f"expected one of {', '.join(names)}, got {name!r}{meant}"


def refuse_unknown(function: Callable[..., Any], given: Iterable[str]) -> None:
    """Raise for the first name that is none of a function's arguments, if all of these are known.

    A subclass's constructor may hand on whatever it is given, or be no function of Python's.
    """
    code: Any = getattr(function, "__code__", None)
    if code is None or code.co_flags & CO_VARKEYWORDS:
        return
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for name in given:
        if name not in names or name == "self":
            raise TypeError(f"{name}: {unknown(name, [one for one in names if one != 'self'])}")


def nearest(function: Function) -> Function:
    """Return the function as it is, but that its TypeError for a misspelt argument tells the nearest one."""

    @wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        try:
            return function(*args, **given)
        except TypeError:
            refuse_unknown(function, given)
            raise

    return call  # type: ignore[return-value]


class Named:
    """Base of classes whose constructor's misspelt arguments are told the nearest one."""

    def __new__(cls, *args: Any, **given: Any) -> Any:
        refuse_unknown(cls.__init__, given)
        return super().__new__(cls)
