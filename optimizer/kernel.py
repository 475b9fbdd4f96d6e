"""The decorators of functions that numba compiles to machine code, kept on disk from the first call on.

numba keeps a kernel by the time stamp of the one file it stands in: after a change of a kernel that it calls, `make`
(any target that needs kernels) throws the old ones away.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

if TYPE_CHECKING:
    index = int64 = int
else:
    index, int64 = np.uint64, np.int64
"""int64: a kernel is compiled anew for each type of its arguments; what comes out of a narrower array is made this.
index: known not to be negative, so that numba does not ask whether it counts from the end."""

COMMON: dict[str, Any] = {"cache": True, "nogil": True}
BORROWING: dict[str, Any] = {**COMMON, "_nrt": False}
"""Arrays are counted as references neither at a call nor at a slice: their owner is the caller, who outlives the
kernel. With dozens of arrays a call, counting took three quarters of the search. Such a kernel cannot make arrays,
which numba says when it compiles."""
INNER: dict[str, Any] = {**BORROWING, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
ALLOCATING: dict[str, Any] = {**COMMON, "_nrt": True}


def kernel(function: Function) -> Function:
    """Compiles at the first call, releases the interpreter lock while it runs, and keeps its type for
    checkers. It works on the arrays it is given and makes none."""
    return _compiled(function, BORROWING)


def inner_kernel(function: Function) -> Function:
    """A kernel that only kernels call: without the way in from Python, whose compilation takes longer than the
    function's own where it takes many arrays."""
    return _compiled(function, INNER)


def allocating_kernel(function: Function) -> Function:
    """A kernel that makes arrays."""
    return _compiled(function, ALLOCATING)


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    decorate: Callable[[Function], Any] = njit(**options)
    return cast(Function, decorate(function))
