"""The decorator of functions that numba compiles to machine code, kept on disk from the first call on."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compiles at the first call, releases the interpreter lock while it runs, and keeps its type for
    checkers."""
    return cast(Function, njit(cache=True, nogil=True)(function))
