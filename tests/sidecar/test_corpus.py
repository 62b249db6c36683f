"""Configurations that are wrong in many ways: none stays on disk, and the next good one goes through."""

from datetime import timedelta
from typing import Any

import pytest

from tests.sidecar.conftest import Sidecar
from tests.sidecar.stands import Stand, alertmanager_file, bundle, quick_rules, remarked
from tests.sidecar.test_matrix import applied
from tests.support.config_server import ConfigServer, sha256

_RULE = quick_rules("First").decode()

BAD_RULES = {
    "yaml": remarked(_RULE.replace("  rules:\n", "  rules: [\n", 1)),
    "second document": remarked(_RULE.replace("groups:\n", "groups: []\n---\ngroups:\n", 1)),
    "unknown field": remarked(_RULE.replace("    expr:", "    nonsense: 1\n    expr:", 1)),
    "expression": quick_rules("Broken", expr="sum("),
    "no expression": quick_rules("Broken", expr="''"),
    "template": remarked(_RULE.replace("    expr:", "    annotations: {a: '{{ $nobody }}'}\n    expr:", 1)),
    "duration": remarked(_RULE.replace("    expr:", "    for: soon\n    expr:", 1)),
    "label name": remarked(_RULE.replace("    expr:", "    labels: {'a-b': x}\n    expr:", 1)),
}

BAD_ALERTMANAGER = {
    "yaml": b"route: [\nreceivers: []\n",
    "second document": alertmanager_file("First") + b"---\n" + alertmanager_file("Second"),
    "unknown field": alertmanager_file("First", more="nonsense: 1\n"),
    "unknown receiver": alertmanager_file("First").replace(b"receiver: First", b"receiver: nobody"),
    "matcher": alertmanager_file("First", more="inhibit_rules:\n- source_matchers: ['no matcher']\n"),
    "two receivers of one name": alertmanager_file("First", "First"),
    "template": bundle("First", template=b"{{ define"),
    "function": bundle("First", template=b'{{ define "x" }}{{ nonsense }}{{ end }}'),
}

# vmalert 1.79 has no rule for the names of labels.
UNKNOWN_TO = {"vmalert": {"label name"}, "prometheus": set(), "alertmanager": set()}


def bad_ones(stand: Stand) -> dict[str, bytes]:
    table = BAD_ALERTMANAGER if stand.config_type == "alertmanager" else BAD_RULES
    return {name: body for name, body in table.items() if name not in UNKNOWN_TO[stand.config_type]}


@pytest.mark.parametrize("checker", ["auto", "off"])
@pytest.mark.timeout(240)
async def test_whatever_is_wrong_the_old_one_stays_and_the_next_good_one_goes_through(
    checker: str, server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    good = up.good
    await server.offer(good)
    async with sidecar(up, checker=checker, proof=timedelta(seconds=1.5)):
        await server.reported(applied(good))
        for number, (name, body) in enumerate(bad_ones(up).items()):
            server.reports.clear()
            await server.offer(body)
            report = await server.reported(rejected(body))
            assert report["error_class"] == "check" or checker == "off", name
            assert up.is_on_disk(good), name

            good = up.make("First", f"After{number}")
            await server.offer(good)
            await server.reported(applied(good))
            assert await up.runs("First", f"After{number}"), name


def rejected(body: bytes) -> Any:
    return lambda report: report["status"] == "failed" and report["rejected_hash"] == sha256(body)
