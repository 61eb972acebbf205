"""Tests that cannot fail, by their source: an assertion that always holds, or a test that checks nothing."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tests.support.house import parsed


@dataclass(frozen=True, slots=True)
class Function:
    """A function, whether it asserts or raises by itself, and what it calls."""

    name: str
    line: int
    asserts: bool
    calls: frozenset[str]


def no_assertion_always_holds(tests: Mapping[str, str]) -> list[str]:
    """No assertion is of a constant, a tuple, `... or True`, or of a thing that equals itself."""
    return [f"{path}:{line}: {text}" for path, source in tests.items() for line, text in _hollow(source)]


@cache  # rules are tried on all tests again and again
def _hollow(source: str) -> tuple[tuple[int, str], ...]:
    """The assertions of a file that always hold."""
    asserts = (node for node in ast.walk(parsed(source)) if isinstance(node, ast.Assert))
    return tuple((node.lineno, ast.unparse(node)[:60]) for node in asserts if _always_holds(node.test))


def _always_holds(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value) | ast.Tuple(value) | ast.List(value) | ast.Set(value):
            return bool(value)
        case ast.BoolOp(ast.Or(), values):
            return any(map(_always_holds, values))
        case ast.BoolOp(ast.And(), values):
            return all(map(_always_holds, values))
        case ast.Compare(ast.Name() | ast.Attribute() as left, [ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()], [right]):
            return ast.dump(left) == ast.dump(right)
    return isinstance(test, ast.JoinedStr | ast.Lambda | ast.GeneratorExp)


def every_test_checks_something(tests: Mapping[str, str]) -> list[str]:
    """A test asserts, expects an error, or calls a function of the tests that does."""
    checking = _checking_names(tests)
    return [
        f"{path}:{function.line}: {function.name} checks nothing"
        for path, source in tests.items()
        for function in _functions(source)
        if function.name.startswith("test_") and not _checks(function, checking)
    ]


def _checking_names(tests: Mapping[str, str]) -> set[str]:
    """Functions of the tests that can fail, by name: those that check, and those that call one that does."""
    every = [function for source in tests.values() for function in _functions(source)]
    checking: set[str] = set()
    while found := {one.name for one in every if one.name not in checking and _checks(one, checking)}:
        checking |= found
    return checking


@cache
def _functions(source: str) -> tuple[Function, ...]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return tuple(_function(node) for node in ast.walk(parsed(source)) if isinstance(node, kinds))


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    inner = list(ast.walk(node))
    asserts = any(isinstance(one, ast.Assert | ast.Raise) for one in inner)
    return Function(
        node.name, node.lineno, asserts, frozenset(_called(one) for one in inner if isinstance(one, ast.Call))
    )


def _checks(function: Function, checking: set[str]) -> bool:
    return function.asserts or any(_may_fail(name, checking) for name in function.calls)


def _may_fail(name: str, checking: set[str]) -> bool:
    return name in checking or name in {"raises", "warns", "fail", "expect"} or name.startswith("assert_")


def _called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    match call.func:
        case ast.Name(name) | ast.Attribute(_, name):
            return name
    return ""
