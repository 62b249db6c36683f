"""What must hold of the tree of routes and of inhibitions, and which of them can never do what they say. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import combinations

from alertagent.core.alertmanager.document import ALL_LABELS, Document, InhibitRule, Route, Tree
from alertagent.core.alertmanager.findings import Finding, repeated
from alertagent.core.alertmanager.matching import MAX_PATTERN, ConfigMatcher, parse_matchers
from alertagent.core.alertmanager.walk import Loc
from alertagent.kernel.labels import is_legacy_name
from alertagent.kernel.matchers import Matcher, Operator, compile_pattern

MAX_COMPARED = 8

_ANYTHING = frozenset({".*", "^.*$", ".*?"})


def routes_of(tree: Tree) -> Iterator[tuple[Loc, Route]]:
    """Every route with its place, parents first."""
    if tree.route is not None:
        yield from _below(tree.route, ("route",))


def _below(route: Route, loc: Loc) -> Iterator[tuple[Loc, Route]]:
    yield loc, route
    for index, child in enumerate(route.routes or ()):
        yield from _below(child, (*loc, "routes", index))


def matchers_of(route: Route, *, utf8: bool = True) -> frozenset[Matcher]:
    """All that an alert must fulfil to enter this route. Raises ValueError."""
    return _matchers(route.match, route.match_re, route.matchers, utf8=utf8)


def source_of(rule: InhibitRule, *, utf8: bool = True) -> frozenset[Matcher]:
    """What an alert must fulfil to mute others. Raises ValueError."""
    return _matchers(rule.source_match, rule.source_match_re, rule.source_matchers, utf8=utf8)


def target_of(rule: InhibitRule, *, utf8: bool = True) -> frozenset[Matcher]:
    """What an alert must fulfil to be muted. Raises ValueError."""
    return _matchers(rule.target_match, rule.target_match_re, rule.target_matchers, utf8=utf8)


def _matchers(
    match: Mapping[str, str | None] | None,
    match_re: Mapping[str, str | None] | None,
    texts: tuple[str, ...] | None,
    *,
    utf8: bool,
) -> frozenset[Matcher]:
    found: list[Matcher] = [ConfigMatcher(name, Operator.EQUAL, value or "") for name, value in (match or {}).items()]
    found += [ConfigMatcher(name, Operator.MATCH, value or "") for name, value in (match_re or {}).items()]
    found += [matcher for text in texts or () for matcher in parse_matchers(text, utf8=utf8)]
    return frozenset(found)


def check_routes(tree: Tree, *, utf8: bool) -> Iterator[Finding]:
    """All but the receivers: who they are is another question."""
    if tree.route is None:
        yield (), "needs a route: the root of the tree, with the receiver of whatever nothing else takes"
        return
    yield from _check_root(tree.route)
    intervals = {interval.name for interval in tree.intervals}
    for loc, route in routes_of(tree):
        for key in ("mute_time_intervals", "active_time_intervals"):
            for index, name in enumerate(getattr(route, key) or ()):
                if name not in intervals:
                    yield (*loc, key, index), "no time interval of this name is defined"
        yield from _check_labels((*loc, "group_by"), route.group_by, utf8=utf8)
        yield from _check_match(loc, "", route.match, route.match_re, route.matchers, utf8=utf8)


def _check_root(root: Route) -> Iterator[Finding]:
    if not root.receiver:
        yield ("route",), "the root needs a receiver"
    for key in ("match", "match_re", "matchers"):
        if getattr(root, key):
            yield ("route", key), "the root takes every alert and must not have matchers"
    for key in ("mute_time_intervals", "active_time_intervals"):
        if getattr(root, key):
            yield ("route", key), "the root must not have time intervals"
    if root.continue_:
        yield ("route", "continue"), "there is nothing to continue with after the root"


def check_receivers(document: Document) -> Iterator[Finding]:
    receivers = {receiver.name for receiver in document.receivers or ()}
    for loc, route in routes_of(document):
        if route.receiver and route.receiver not in receivers:
            yield (*loc, "receiver"), "no receiver of this name is defined"


def repeated_intervals(tree: Tree) -> Iterator[Finding]:
    """Names of time intervals that stand twice, under the older key and the newer."""
    seen: set[str] = set()
    yield from repeated("mute_time_intervals", [each.name for each in tree.mute_time_intervals or ()], seen)
    yield from repeated("time_intervals", [each.name for each in tree.time_intervals or ()], seen)


def check_inhibitions(tree: Tree, *, utf8: bool) -> Iterator[Finding]:
    for index, rule in enumerate(tree.inhibit_rules or ()):
        loc: Loc = ("inhibit_rules", index)
        check = partial(_check_match, loc, utf8=utf8)
        yield from check("source_", rule.source_match, rule.source_match_re, rule.source_matchers)
        yield from check("target_", rule.target_match, rule.target_match_re, rule.target_matchers)
        yield from _check_labels((*loc, "equal"), rule.equal, utf8=utf8)


def _check_match(
    loc: Loc,
    prefix: str,
    match: Mapping[str, str | None] | None,
    match_re: Mapping[str, str | None] | None,
    texts: tuple[str, ...] | None,
    *,
    utf8: bool,
) -> Iterator[Finding]:
    for key, values in (("match", match), ("match_re", match_re)):
        for name in values or ():
            if not is_legacy_name(name):
                yield (*loc, prefix + key, name), "not the name of a label; letters, digits and _ make one"
    for name, pattern in (match_re or {}).items():
        if pattern is None:
            yield (*loc, f"{prefix}match_re", name), "needs a regular expression"
        elif reason := _refusal_of(pattern):
            yield (*loc, f"{prefix}match_re", name), reason
    for index, text in enumerate(texts or ()):
        try:
            parse_matchers(text, utf8=utf8)
        except ValueError as error:
            yield (*loc, f"{prefix}matchers", index), str(error)


def _refusal_of(pattern: str) -> str | None:
    try:
        compile_pattern(pattern, MAX_PATTERN)
    except ValueError as error:
        return str(error)
    return None


def _check_labels(loc: Loc, names: tuple[str, ...] | None, *, utf8: bool) -> Iterator[Finding]:
    for index, name in enumerate(names or ()):
        if name == ALL_LABELS and loc[-1] == "group_by":
            continue
        if not name or not (utf8 or is_legacy_name(name)):
            yield (*loc, index), "not the name of a label; letters, digits and _ make one"


def suspicious_routes(tree: Tree, *, utf8: bool) -> Iterator[Finding]:
    """Routes that no alert can reach."""
    for loc, route in routes_of(tree):
        try:
            yield from _shadowed(route, loc, utf8=utf8)
        except ValueError:
            continue


def unused_receivers(tree: Tree, names: Iterable[str | None]) -> Iterator[Finding]:
    """Those of the receivers, named in their order, that no route leads to."""
    used = {route.receiver for _, route in routes_of(tree)}
    for index, name in enumerate(names):
        if name and name not in used:
            yield ("receivers", index), "no route names this receiver"


def _shadowed(route: Route, loc: Loc, *, utf8: bool) -> Iterator[Finding]:
    """A route comes too late when one before it takes all that it would take, and goes on to none."""
    final: dict[frozenset[Matcher], int] = {}
    for index, child in enumerate(route.routes or ()):
        wanted = _narrowing(matchers_of(child, utf8=utf8))
        before = next((final[taken] for taken in _subsets(wanted) if taken in final), None)
        if before is not None:
            place = (*loc, "routes", index)
            yield place, f"no alert comes here: routes[{before}] beside it takes them all and does not continue"
        elif not child.continue_:
            final.setdefault(wanted, index)


def _subsets(matchers: frozenset[Matcher]) -> Iterator[frozenset[Matcher]]:
    """Fewer first; of very many matchers only the whole, for the number of subsets doubles with each."""
    sizes = range(len(matchers) + 1) if len(matchers) <= MAX_COMPARED else (len(matchers),)
    for size in sizes:
        yield from map(frozenset, combinations(matchers, size))


def suspicious_inhibitions(tree: Tree, *, utf8: bool) -> Iterator[Finding]:
    for index, rule in enumerate(tree.inhibit_rules or ()):
        if _mutes_everything(rule, utf8=utf8):
            place = ("inhibit_rules", index)
            yield place, "the target has no matchers that narrow it: one source alert can mute all others"


def _mutes_everything(rule: InhibitRule, *, utf8: bool) -> bool:
    try:
        target = target_of(rule, utf8=utf8)
    except ValueError:
        return False
    return not _narrowing(target) and not rule.equal


def _narrowing(matchers: frozenset[Matcher]) -> frozenset[Matcher]:
    """Without those that every alert fulfils."""
    return frozenset(
        matcher for matcher in matchers if not (matcher.operator is Operator.MATCH and matcher.value in _ANYTHING)
    )
