"""Finds every log event in the source: its name, its levels and its keys.

An event is a call such as `log.info("config.applied", hash=…)`. Its name must be a constant, or a choice between
constants.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`file` is seen from the package."""

    name: str
    levels: tuple[str, ...]
    keys: tuple[str, ...]
    file: str


LEVELS = ("debug", "info", "warning", "error")
_METHODS = {**{level: level for level in LEVELS}, "exception": "error"}


def events_in(package: Path) -> list[Event]:
    """Every event, once, with the keys of all its calls. Raises ValueError for one whose name is no constant."""
    found: dict[str, Event] = {}
    for path in sorted(package.rglob("*.py")):
        for event in _events_of(path, package):
            known = found.get(event.name, event)
            found[event.name] = Event(
                name=event.name,
                levels=tuple(dict.fromkeys((*known.levels, *event.levels))),
                keys=tuple(dict.fromkeys((*known.keys, *event.keys))),
                file=known.file,
            )
    return list(found.values())


def _events_of(path: Path, package: Path) -> Iterator[Event]:
    tree = ast.parse(path.read_text("utf-8"))
    file = path.relative_to(package).as_posix()
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        values = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in _own_calls(function, functions):
            levels = _levels(node.func, values)
            if not levels or not node.args:
                continue
            names = _constants(node.args[0], values)
            if not names:
                raise ValueError(f"{file}:{node.lineno}: the event is not a constant")
            for name in names:
                yield Event(name=name, levels=levels, keys=tuple(_keys(node, values)), file=file)


def _own_calls(function: ast.AST, functions: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """The calls of this function and not of those inside it."""
    inner = {id(node) for other in functions if other is not function for node in _inside(function, other)}
    return (node for node in ast.walk(function) if isinstance(node, ast.Call) and id(node) not in inner)


def _inside(function: ast.AST, other: ast.AST) -> Iterator[ast.AST]:
    if any(node is other for node in ast.walk(function)):
        yield from ast.walk(other)


def _levels(function: ast.expr, values: Mapping[str, ast.expr]) -> tuple[str, ...]:
    """`log.info` says one, `tell = log.warning if … else log.info` several."""
    if isinstance(function, ast.Name) and function.id in values:
        return _levels(values[function.id], {})
    if isinstance(function, ast.IfExp):
        return (*_levels(function.body, values), *_levels(function.orelse, values))
    if isinstance(function, ast.Attribute) and function.attr in _METHODS and _is_log(function.value):
        return (_METHODS[function.attr],)
    return ()


def _is_log(node: ast.expr) -> bool:
    return ast.unparse(node) in {"log", "_log", "structlog.get_logger()"}


def _constants(node: ast.expr, values: Mapping[str, ast.expr]) -> tuple[str, ...]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.IfExp):
        return (*_constants(node.body, values), *_constants(node.orelse, values))
    if isinstance(node, ast.Name) and node.id in values:
        return _constants(values[node.id], {})
    return ()


def _keys(call: ast.Call, values: Mapping[str, ast.expr]) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield "exception" if keyword.arg == "exc_info" else keyword.arg
        elif isinstance(keyword.value, ast.Name) and isinstance(values.get(keyword.value.id), ast.Dict):
            spread = values[keyword.value.id]
            assert isinstance(spread, ast.Dict)
            yield from (str(key.value) for key in spread.keys if isinstance(key, ast.Constant))
