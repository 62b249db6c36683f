"""What becomes of an existing alertmanager.yml."""

from typing import Any

import pytest

from alertagent.core.routing.importing import (
    Resolved,
    document_of,
    left_out,
    read_alertmanager,
    renames,
    resolve,
)
from alertagent.core.routing.text import values_of
from alertagent.kernel.errors import Invalid
from tests.core.alertmanager.samples import SHOP


def file(*receivers: str, head: str = "") -> bytes:
    """A configuration in which a route leads to each of these receivers, called r0, r1 …"""
    routes = "".join(f"  - {{receiver: r{number}, match: {{n: '{number}'}}}}\n" for number in range(len(receivers)))
    listed = "".join(f"- name: r{number}\n  {receiver}\n" for number, receiver in enumerate(receivers))
    return f"{head}route:\n  receiver: r0\n  routes:\n{routes}receivers:\n{listed}".encode()


def resolved(text: bytes, *channels: str, **renamed: str) -> Resolved:
    return resolve(read_alertmanager(text), channels, renamed)


HOOK = "webhook_configs: [{url: 'http://hook.example/1'}]"


def test_a_receiver_without_integrations_tells_nobody() -> None:
    assert resolved(file(""), "r0").entries == [{"name": "r0", "channels": []}]


def test_a_receiver_is_the_channel_of_its_name() -> None:
    found = resolved(file("pagerduty_configs: [{routing_key: k}]"), "r0")

    assert (found.entries, found.new) == ([], [])


def test_a_renamed_receiver_is_another_channel() -> None:
    found = resolved(file("pagerduty_configs: [{routing_key: k}]", ""), r0="ours", r1="also")

    assert found.entries == [{"name": "r0", "channels": ["ours"]}, {"name": "r1", "channels": ["also"]}]


def test_a_plain_webhook_becomes_a_channel() -> None:
    found = resolved(file(HOOK))

    assert [(each.name, each.url, each.loc) for each in found.new] == [
        ("r0", "http://hook.example/1", ("receivers", 0, "webhook_configs", 0, "url"))
    ]
    assert found.entries == []


@pytest.mark.parametrize(
    ("receiver", "entry"),
    [
        ("slack_configs: [{api_url: 'http://s.example/', channel: c}]", {"name": "r0", "send_resolved": False}),
        ("slack_configs: [{api_url: 'http://s.example/', channel: c, send_resolved: true}]", None),
        ("webhook_configs: [{url: 'http://h.example/', send_resolved: false}]", {"name": "r0", "send_resolved": False}),
        ("slack_configs: [{api_url: 'http://s.example/'}]\n  pagerduty_configs: [{routing_key: k}]", None),
    ],
)
def test_whether_ends_are_told_is_carried_over(receiver: str, entry: dict[str, Any] | None) -> None:
    assert resolved(file(receiver), "r0").entries == ([entry] if entry else [])


@pytest.mark.parametrize(
    ("receiver", "kinds"),
    [
        ("pagerduty_configs: [{routing_key: k}]", "pagerduty_configs"),
        (f"{HOOK}\n  pagerduty_configs: [{{routing_key: k}}]", "pagerduty_configs, webhook_configs"),
        ("webhook_configs: [{url: 'http://a/'}, {url: 'http://b/'}]", "2 webhook_configs"),
        ("webhook_configs: [{url_file: /etc/url}]", "webhook_configs"),
        ("webhook_configs: [{url: 'http://a/{{ .GroupKey }}'}]", "webhook_configs"),
        ("webhook_configs: [{url: 'http://a/', http_config: {bearer_token: t}}]", "webhook_configs"),
    ],
)
def test_what_no_channel_can_be_made_of_is_told_with_its_place(receiver: str, kinds: str) -> None:
    with pytest.raises(Invalid) as refused:
        resolved(file(receiver, receiver, "", HOOK))

    found = refused.value.details
    assert [each.loc for each in found] == [("receivers", 0), ("receivers", 1)]
    assert f"none can be made of its {kinds};" in found[0].message
    assert found[0].line == 9


def test_a_webhook_that_needs_the_global_http_config_is_not_made_into_a_channel() -> None:
    with pytest.raises(Invalid):
        resolved(file(HOOK, head="global: {http_config: {bearer_token: t}}\n"))


def test_a_receiver_that_no_route_leads_to_is_left_out() -> None:
    text = file(HOOK) + b"- name: spare\n  pagerduty_configs: [{routing_key: k}]\n"

    assert [each.name for each in resolved(text).new] == ["r0"]
    assert [(each.loc, each.message) for each in left_out(read_alertmanager(text))] == [
        (("receivers", 1), "no route names this receiver")
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("r0:ours", {"r0": "ours"}),
        ("r0:a:b", {"r0": "a:b"}),
    ],
)
def test_a_new_name_follows_the_first_colon_behind_a_receiver(text: str, found: dict[str, str]) -> None:
    assert renames([text], read_alertmanager(file(HOOK))) == found


def test_a_receiver_may_have_a_colon_in_its_name() -> None:
    foreign = read_alertmanager(file(HOOK).replace(b"r0", b"'team:db'"))

    assert renames(["team:db:ours"], foreign) == {"team:db": "ours"}


@pytest.mark.parametrize("text", ["", ":", "r0", "r9:ours", ":r0"])
def test_a_renaming_of_nobody_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="names no receiver"):
        renames([text], read_alertmanager(file(HOOK)))


def test_routes_inhibitions_and_intervals_are_taken_over() -> None:
    foreign = read_alertmanager(SHOP.encode())
    names = ("everybody", "pager", "databases")

    values = values_of(document_of(foreign, resolve(foreign, names, {})).document)

    assert (values["route"], values["inhibit_rules"]) == (
        values_of(foreign.document)["route"],
        values_of(foreign.document)["inhibit_rules"],
    )
    assert [interval["name"] for interval in values["time_intervals"]] == ["office", "nights"]


def test_what_has_no_effect_here_is_told() -> None:
    assert [(each.loc, each.line) for each in left_out(read_alertmanager(SHOP.encode()))] == [
        (("global",), 2),
        (("templates",), 10),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the document is empty"),
        (b"\xff", "not UTF-8"),
        (b"route: {receiver: a}", "no receiver of this name is defined"),
        (b"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "taken by another one"),
        (b"groups: []", "unknown field"),
    ],
)
def test_a_file_that_alertmanager_would_refuse_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_alertmanager(text)

    assert message in refused.value.message
