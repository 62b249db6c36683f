"""What can run nowhere is refused without any tool; what a tool may judge is left to it."""

import re

import pytest

from alertagent.sidecar.content import Content
from alertagent.sidecar.model import ErrorClass, Rejected
from alertagent.sidecar.shape import look_at_alertmanager, look_at_rules
from tests.sidecar.stands import alertmanager_file
from tests.support.config_server import rule_file

GOOD = rule_file("First", "Second")
MARKER = GOOD[GOOD.index(b"- name: alertagent:meta") :]


def rules(text: str) -> Content:
    return Content(f"groups:\n{text}".encode() + MARKER)


@pytest.mark.parametrize("body", [GOOD, rule_file(), rule_file("Odd", expr="sum(")])
def test_generated_rules_pass(body: bytes) -> None:
    look_at_rules(Content(body))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Content(b"groups: [\n"), "line 2"),
        (Content(GOOD + b"---\ngroups: []\n"), "second document"),
        (Content(b"<html></html>\n"), "no mapping"),
        (Content(b"other: 1\n" + GOOD), "groups, other"),
        (Content(b"{}\n"), "nothing"),
        (Content(b"groups: {}\n"), "groups is no list"),
        (Content(GOOD + b"- name: late\n  rules: []\n"), "last group"),
        (Content(b"groups: []\n"), "last group"),
        (rules("- rules: []\n"), "group 1 has no name"),
        (rules("- name: a\n- name: a\n"), '2 groups named "a"'),
        (rules("- name: a\n  rules: {}\n"), 'group "a": rules is no list'),
        (rules("- name: a\n  rules:\n  - expr: up\n"), 'group "a", rule 1 must have one name'),
        (rules("- name: a\n  rules:\n  - {alert: x, record: y, expr: up}\n"), "one name"),
        (rules("- name: a\n  rules:\n  - {alert: x}\n"), '"x", has no expression'),
        (rules("- name: a\n  rules:\n  - {alert: x, expr: ' '}\n"), "no expression"),
    ],
)
def test_rules_that_can_run_nowhere_are_refused(content: Content, words: str) -> None:
    with pytest.raises(Rejected, match=re.escape(words)) as caught:
        look_at_rules(content)
    assert caught.value.error_class is ErrorClass.CHECK


def test_an_alertmanager_configuration_passes_with_keys_of_other_versions() -> None:
    look_at_alertmanager(Content(alertmanager_file("a", "b", more="tracing: {}\n")))


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (b"receivers: []\n", "needs route"),
        (b"route: {receiver: a}\n", "needs receivers"),
        (b"route: {receiver: a}\nreceivers: {}\n", "receivers is no list"),
        (b"route: []\nreceivers: []\n", "route is no mapping"),
        (b"route: {receiver: a}\nreceivers: [{name: b}]\n", '"a", which is not defined'),
        (alertmanager_file("a", templates=("alertagent-templates/0123456789abcdef/x.tmpl",)), "did not come with it"),
    ],
)
def test_an_alertmanager_configuration_that_can_run_nowhere_is_refused(main: bytes, words: str) -> None:
    with pytest.raises(Rejected, match=re.escape(words)):
        look_at_alertmanager(Content(main))
