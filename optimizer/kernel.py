"""The decorators of functions that numba compiles to machine code, kept on disk from the first call on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

if TYPE_CHECKING:
    int64 = int
else:
    int64 = np.int64
"""A kernel is compiled anew for each type of its arguments: what comes out of a narrower array is made this."""


def kernel(function: Function) -> Function:
    """Compiles at the first call, releases the interpreter lock while it runs, and keeps its type for
    checkers."""
    return cast(Function, njit(cache=True, nogil=True)(function))


def inner_kernel(function: Function) -> Function:
    """A kernel that only kernels call: without the way in from Python, whose compilation takes longer than the
    function's own where it takes many arrays."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, njit(cache=True, nogil=True, **options)(function))
