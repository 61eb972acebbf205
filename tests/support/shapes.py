"""Shapes and dtypes in signatures are checked while the tests run.

Only in the rooms whose mathematics lives by them, and only annotations of arrays: tests give wrong values of other
types on purpose. The product never does this: there annotations are for readers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, get_args

import jaxtyping
from beartype import beartype

ROOMS = ("harmonic.layers", "harmonic.conversion", "export")


def check_shapes() -> None:
    """From now on modules of these rooms are checked when they are imported, so none may have been imported before."""
    early = [name for name in sys.modules if name in ROOMS]
    if early:
        raise RuntimeError(f"{', '.join(early)} was imported before its shapes could be checked.")
    jaxtyping.install_import_hook(list(ROOMS), f"{__name__}.checked")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`beartype` of the arrays alone. Placeholders are none: while a network is traced, nothing is known of shapes."""
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if _of_array(hint)}
    if not function.__annotations__:
        return function
    from torch import fx  # here, since tests of the service load no torch

    checks = beartype(function)

    @wraps(function)
    def check(*args: Any, **kwargs: Any) -> Any:
        traced = any(isinstance(value, fx.Proxy) for value in (*args, *kwargs.values()))
        return None if traced else checks(*args, **kwargs)

    return check


def _of_array(hint: Any) -> bool:
    """Whether a hint is of an array, or of something that holds some."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_of_array, get_args(hint)))


@contextmanager
def unchecked() -> Iterator[None]:
    """For PyTorch's compiler, which reads functions instead of calling them."""
    import torch

    # All checked functions have one wrapper, and the compiler gives up what it compiled anew too often.
    torch.compiler.reset()
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
