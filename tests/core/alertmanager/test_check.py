"""What a configuration must be, and what is only suspicious."""

import pytest

from alertagent.core.alertmanager.check import Target, check, oldest
from alertagent.core.alertmanager.findings import MAX_FINDINGS
from alertagent.kernel.errors import Detail
from tests.core.alertmanager.samples import (
    BAD,
    GOOD,
    SHOP,
    SHOP_SECRETS,
    SHOP_TEMPLATES,
    with_receiver,
    with_route,
)


def places(details: list[Detail]) -> list[str]:
    return [".".join(map(str, detail.loc)) for detail in details]


def warned(text: str) -> list[tuple[str, str]]:
    return [
        (place, each.message) for place, each in zip(places(check(text).warnings), check(text).warnings, strict=True)
    ]


@pytest.mark.parametrize("name", GOOD)
def test_what_alertmanager_loads_is_accepted(name: str) -> None:
    assert check(GOOD[name], target=Target("0.25.0")).findings == []


@pytest.mark.parametrize("name", BAD)
def test_what_alertmanager_refuses_is_refused_with_its_place(name: str) -> None:
    text, place = BAD[name]

    findings = check(text, target=Target("0.25.0")).findings

    assert places(findings)[0] == place
    assert all(found.line and found.column for found in findings)


def test_a_finding_stands_where_the_value_stands() -> None:
    text = SHOP.replace("channel: '#db'", "channel: '#db'\n    colour: red")

    found = check(text, SHOP_TEMPLATES).findings[0]

    line = text.splitlines()[(found.line or 0) - 1]
    assert (line[(found.column or 0) - 1 :], found.message) == ("colour: red", 'unknown field. Did you mean "color"?')


def test_every_mistake_is_found_at_once() -> None:
    text = with_route("receiver: nobody\ngroup_by: [a, a]\nrepeat_interval: 0s")

    assert sorted(places(check(text).findings)) == [
        "config.route.group_by",
        "config.route.receiver",
        "config.route.repeat_interval",
    ]


def test_no_message_repeats_a_value() -> None:
    """Whoever puts a secret into the wrong field does not find it in a log."""
    texts = [
        with_receiver("webhook_configs: [{url: CANARY}]"),
        with_receiver("webhook_configs: [{url: http://x/, max_alerts: CANARY, send_resolved: CANARY}]"),
        with_receiver("telegram_configs: [{bot_token: t, chat_id: 1, parse_mode: CANARY}]"),
        with_receiver("email_configs: [{to: x, from: b, smarthost: CANARY}]"),
        with_route("receiver: CANARY\ngroup_wait: CANARY\ngroup_by: [CANARY-]\nroutes: [{matchers: [CANARY]}]"),
        with_route(
            "receiver: r", "time_intervals: [{name: a, time_intervals: [{weekdays: [CANARY], years: [CANARY]}]}]"
        ),
    ]

    for text in texts:
        findings = check(text).findings
        assert findings
        assert "CANARY" not in "".join(found.message for found in findings)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        (with_receiver("webhook_configs: [{url_file: /x}]"), "0.26"),
        (with_receiver("msteams_configs: [{webhook_url: http://x/}]"), "0.26"),
        (with_receiver("jira_configs: [{project: a, issue_type: b}]", "jira_api_url: http://x/"), "0.28"),
        (with_receiver("webhook_configs: [{url: http://x/, timeout: 5s}]"), "0.28"),
        (with_receiver("webhook_configs: [{url: http://x/, http_config: {http_headers: {A: {values: [b]}}}}]"), "0.28"),
        (with_receiver("incidentio_configs: [{url: http://x/, alert_source_token: t}]"), "0.29"),
        (with_receiver("mattermost_configs: [{webhook_url: http://x/}]"), "0.30"),
        (with_route("receiver: r", "inhibit_rules: [{name: a}]"), "0.30"),
        (with_route("receiver: r", "tracing: {endpoint: 'x:1', sampling_fraction: 0.5}"), "0.30"),
        (with_receiver("telegram_configs: [{chat_id: 1}]", "telegram_bot_token: t"), "0.31"),
        (with_route("receiver: r", "event_recorder: {outputs: [{a: b}]}"), "0.33"),
    ],
)
def test_a_field_is_refused_where_the_target_is_older_than_it(text: str, since: str) -> None:
    minor = int(since.partition(".")[2])

    messages = [found.message for found in check(text, target=Target(f"0.{minor - 1}.3")).findings]

    assert any(f"came with Alertmanager {since}; this cluster runs 0.{minor - 1}.3" in each for each in messages)
    assert check(text, target=Target(f"v{since}.0-rc.1")).findings == []
    assert check(text).findings == []
    assert check(text, target=Target("some build")).findings == []


def test_labels_of_any_script_are_for_targets_that_know_them() -> None:
    text = with_route("receiver: r\ngroup_by: [集群]\nroutes:\n- matchers: ['集群=\"北京\"']")

    assert places(check(text, target=Target("0.26.0")).findings) == [
        "config.route.group_by.0",
        "config.route.routes.0.matchers.0",
    ]
    assert check(text, target=Target("0.27.0")).findings == []


def test_the_oldest_target_decides() -> None:
    assert oldest(["0.28.1", "v0.25.0", "unknown"]) == Target("v0.25.0")
    assert oldest([]) == Target()


def test_a_template_must_be_named_be_well_named_and_end_its_actions() -> None:
    found = check(SHOP, {**SHOP_TEMPLATES, "../x.tmpl": "", "other.tmpl": "", "shop.tmpl": "{{ .Status"}).findings

    assert [(found_.loc, found_.line) for found_ in found] == [
        (("templates", "shop.tmpl"), None),
        (("templates", "../x.tmpl"), None),
        (("templates", "other.tmpl"), None),
    ]


def test_a_template_action_in_a_field_must_end() -> None:
    """Alertmanager would only find out when it sends."""
    assert places(check(with_receiver("slack_configs: [{api_url: http://x/, text: '{{ .Foo'}]")).findings) == [
        "config.receivers.0.slack_configs.0.text"
    ]


def test_routes_that_no_alert_reaches_are_pointed_out() -> None:
    text = with_route(
        """
        receiver: r
        routes:
        - matchers: [a=b]
          receiver: other
        - matchers: [c=d, a=b]
        - matchers: ['a=~".*"']
          continue: true
        - matchers: ['x=~".*"']
        - match: {z: z}
        """
    )

    assert [place for place, message in warned(text) if "no alert comes here" in message] == [
        "config.route.routes.1",
        "config.route.routes.4",
    ]


def test_a_receiver_that_no_route_names_is_pointed_out() -> None:
    assert warned(with_route("receiver: r")) == [("config.receivers.1", "no route names this receiver")]


@pytest.mark.parametrize(
    ("rule", "is_suspicious"),
    [
        ("{source_matchers: [a=b]}", True),
        ("{source_matchers: [a=b], target_matchers: ['x=~\".*\"']}", True),
        ("{source_matchers: [a=b], equal: [c]}", False),
        ("{source_matchers: [a=b], target_matchers: [c=d]}", False),
    ],
)
def test_an_inhibition_of_everything_is_pointed_out(rule: str, is_suspicious: bool) -> None:
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r}}]\ninhibit_rules: [{rule}]\n"

    assert [place for place, _ in warned(text)] == (["config.inhibit_rules.0"] if is_suspicious else [])


def test_every_secret_in_the_file_is_pointed_out() -> None:
    found = [place for place, message in warned(SHOP) if "a secret stands in the file" in message]

    assert len(found) == len(SHOP_SECRETS)
    assert "config.receivers.2.webhook_configs.0.http_config.authorization.credentials" in found


def test_an_impossible_month_is_refused_although_alertmanager_waits_for_it() -> None:
    text = with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{months: [13]}]}]")

    assert places(check(text).findings) == ["config.time_intervals.0.time_intervals.0.months.0"]


def test_thousands_of_mistakes_are_named_up_to_a_limit() -> None:
    text = with_route("receiver: r\n" + "".join(f"unknown{number}: 1\n" for number in range(5000)))

    assert len(check(text).findings) == MAX_FINDINGS


def test_an_unknown_field_far_below_is_likened_to_those_of_its_section() -> None:
    text = with_receiver("webhook_configs: [{url: http://x/, http_config: {basic_auth: {usrename: a}}}]")

    assert [found.message for found in check(text).findings] == ['unknown field. Did you mean "username"?']
