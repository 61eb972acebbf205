"""Tests that cannot fail, by their source: an assertion that always holds, or a test that checks nothing."""

import ast
from collections.abc import Iterator, Mapping

from tests.support.house import parsed

Function = ast.FunctionDef | ast.AsyncFunctionDef


def no_assertion_always_holds(tests: Mapping[str, str]) -> list[str]:
    """No assertion is of a constant, a tuple, `... or True`, or of a thing that equals itself."""
    return [
        f"{path}:{node.lineno}: {ast.unparse(node)[:60]}"
        for path, source in tests.items()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Assert) and _always_holds(node.test)
    ]


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
        f"{path}:{function.lineno}: {function.name} checks nothing"
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


def _functions(source: str) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(source)) if isinstance(node, Function))


def _checks(function: Function, checking: set[str]) -> bool:
    return any(
        isinstance(node, ast.Assert | ast.Raise) or (isinstance(node, ast.Call) and _may_fail(_called(node), checking))
        for node in ast.walk(function)
    )


def _may_fail(name: str, checking: set[str]) -> bool:
    return name in checking or name in {"raises", "warns", "fail", "expect"} or name.startswith("assert_")


def _called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    match call.func:
        case ast.Name(name) | ast.Attribute(_, name):
            return name
    return ""
