"""Where the groups stand in a file: at its top, or in the spec of Kubernetes objects. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from alertagent.core.rules.file_findings import Findings, Loc
from alertagent.core.rules.model import Dialect
from alertagent.kernel.yaml_guard import Mapping, Mark, Node, Scalar, Sequence

_KINDS = {Dialect.PROMQL: ("PrometheusRule",), Dialect.METRICSQL: ("PrometheusRule", "VMRule")}
_LISTS = ("List", "PrometheusRuleList", "VMRuleList")


class Groups(NamedTuple):
    """One list of groups, which names each group once."""

    loc: Loc
    items: Sequence
    in_object: bool


def find_groups(documents: list[Node], dialect: Dialect, findings: Findings) -> Iterator[Groups]:
    """Every list of groups; objects of other kinds and fields that nobody knows are findings."""
    filled = [(index, node) for index, node in enumerate(documents) if not _is_null(node)]
    if not filled:
        findings.error((), "the file is empty", Mark(1, 1, 0))
    for index, node in filled:
        loc: Loc = (index,) if len(documents) > 1 else ()
        if not isinstance(node, Mapping):
            findings.error(loc, "must be a mapping with the field groups", node.start)
        elif _is_object(node):
            yield from _object(node, loc, dialect, findings)
        elif index > 0 and dialect is Dialect.PROMQL:
            findings.error(loc, "a second document begins here, which Prometheus would never read", node.start)
        else:
            yield from _groups(node, loc, findings, in_object=False)


def _is_object(node: Mapping) -> bool:
    return "kind" in node.entries or "apiVersion" in node.entries


def _object(node: Mapping, loc: Loc, dialect: Dialect, findings: Findings) -> Iterator[Groups]:
    found = node.entries.get("kind")
    kind = found.value.value if found is not None and isinstance(found.value, Scalar) else ""
    mark = found.value.start if found is not None else node.start
    if kind in _LISTS:
        yield from _list(node, loc, dialect, findings)
    elif kind in _KINDS[dialect]:
        spec = node.entries.get("spec")
        if spec is None or not isinstance(spec.value, Mapping):
            findings.error((*loc, "spec"), "the object needs a spec with the field groups", node.start)
        else:
            yield from _groups(spec.value, (*loc, "spec"), findings, in_object=True)
    elif kind in _KINDS[Dialect.METRICSQL]:
        findings.error((*loc, "kind"), f"{kind} is for vmalert: read it with the dialect metricsql", mark)
    else:
        findings.error((*loc, "kind"), f'"{kind[:100]}" holds no rules; {" and ".join(_KINDS[dialect])} do', mark)


def _list(node: Mapping, loc: Loc, dialect: Dialect, findings: Findings) -> Iterator[Groups]:
    items = node.entries.get("items")
    if items is None or not isinstance(items.value, Sequence):
        findings.error((*loc, "items"), "a list of objects needs the field items", node.start)
        return
    for index, item in enumerate(items.value.items):
        if isinstance(item, Mapping) and _kind_is_no_list(item):
            yield from _object(item, (*loc, "items", index), dialect, findings)
        else:
            findings.error((*loc, "items", index), "must be an object that holds rules", item.start)


def _kind_is_no_list(item: Mapping) -> bool:
    kind = item.entries.get("kind")
    return kind is None or not isinstance(kind.value, Scalar) or kind.value.value not in _LISTS


def _groups(node: Mapping, loc: Loc, findings: Findings, *, in_object: bool) -> Iterator[Groups]:
    for name, entry in node.entries.items():
        if name != "groups":
            findings.error((*loc, name), f'unknown field "{name[:100]}"; only groups can stand here', entry.key.start)
    found = node.entries.get("groups")
    if found is None:
        findings.error((*loc, "groups"), "the field groups is missing", node.start)
    elif isinstance(found.value, Sequence):
        yield Groups((*loc, "groups"), found.value, in_object)
    elif not _is_null(found.value):
        findings.error((*loc, "groups"), "must be a list of groups", found.value.start)
    else:
        findings.warning((*loc, "groups"), "there are no groups", found.key.start)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null
