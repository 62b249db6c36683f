"""Alertmanager configurations, good and bad: whole ones, and pieces that make one."""

from textwrap import dedent, indent

SHOP_TREE = """\
route:
  receiver: everybody
  group_by: [alertname, cluster]
  group_wait: 0s
  group_interval: 2m
  repeat_interval: 1d
  routes:
  - matchers: ['severity="page"']
    receiver: pager
    continue: true
  - matchers:
    - team=~"db|cache"
    receiver: databases
    group_by: ['...']
    active_time_intervals: [office]
    routes:
    - match: {env: dev}
      mute_time_intervals: [nights]
  - match_re:
      service: (foo|bar)-.*
    receiver: everybody

inhibit_rules:
- source_matchers: ['severity="page"']
  target_matchers: ['severity="warning"']
  equal: [alertname, cluster]

time_intervals:
- name: office
  time_intervals:
  - times: [{start_time: 09:00, end_time: '17:00'}]
    weekdays: ['monday:friday']
    location: Europe/Berlin
- name: nights
  time_intervals:
  - times:
    - start_time: 20:00
      end_time: 24:00
    days_of_month: ['1:15', -3:-1]
    months: [january, 3, '5:august']
    years: [2024, '2026:2030']
"""

SHOP = (
    """\
# The shop's Alertmanager.
global:
  resolve_timeout: 5m
  smtp_smarthost: mail.shop.example:587
  smtp_from: alerts@shop.example
  smtp_auth_username: alerts
  smtp_auth_password: "p4ss: word"   # rotated in May
  slack_api_url: https://hooks.slack.example/services/AAA/BBB

templates:
- 'shop.tmpl'

"""
    + SHOP_TREE
    + """
receivers:
- name: everybody
  email_configs:
  - to: ops@shop.example
    headers: {Subject: '{{ .CommonLabels.alertname }}'}
- name: pager
  pagerduty_configs:
  - routing_key: 'R0UTING-KEY'
    details: {runbook: '{{ .CommonAnnotations.runbook }}'}
    send_resolved: on
- name: databases
  slack_configs:
  - channel: '#db'
    title: '{{ template "shop.title" . }}'
    fields: [{title: Team, value: db, short: true}]
  webhook_configs:
  - url: http://hooks.shop.example/alerts
    max_alerts: 10
    http_config:
      authorization:
        credentials: |
          a-token-in-a-block
      tls_config: {insecure_skip_verify: false, server_name: hooks}
"""
)

SHOP_TEMPLATES = {"shop.tmpl": '{{ define "shop.title" }}{{ .Status }}: {{ .CommonLabels.alertname }}{{ end }}\n'}

SHOP_SECRETS = (
    "p4ss: word",
    "https://hooks.slack.example/services/AAA/BBB",
    "R0UTING-KEY",
    "http://hooks.shop.example/alerts",
    "a-token-in-a-block",
)


def plain(text: str = SHOP) -> str:
    """The configuration without templates of its own."""
    return text.replace("templates:\n- 'shop.tmpl'\n", "").replace(
        "title: '{{ template \"shop.title\" . }}'", "title: x"
    )


def with_receiver(integration: str, settings: str = "") -> str:
    """A configuration with one integration, given as YAML."""
    return (
        (f"global:\n{indent(dedent(settings), '  ')}\n" if settings else "")
        + "route: {receiver: r}\nreceivers:\n- name: r\n"
        + indent(dedent(integration), "  ")
    )


def with_route(route: str, more: str = "") -> str:
    """A configuration with these fields of its root, and a receiver `r`."""
    return f"route:\n{indent(dedent(route), '  ')}\n{dedent(more)}\nreceivers:\n- name: r\n- name: other\n"


# What Alertmanager 0.25 accepts.
GOOD = {
    "the smallest": "route: {receiver: r}\nreceivers: [{name: r}]\n",
    "everything usual": plain(),
    "no group wait": with_route("receiver: r\ngroup_wait: 0s"),
    "zero without a unit": with_route("receiver: r\ngroup_wait: 0"),
    "all labels": with_route("receiver: r\ngroup_by: ['...']"),
    "all labels twice": with_route("receiver: r\ngroup_by: ['...', '...']"),
    "no labels": with_route("receiver: r\ngroup_by: []"),
    "nulls": with_route(
        "receiver: r\ngroup_by: ~\nroutes:\nmatchers:", "inhibit_rules:\ntime_intervals: null\nglobal:"
    ),
    "numbers as names": "route: {receiver: 1}\nreceivers: [{name: 1}]\n",
    "matchers in braces": with_route('receiver: r\nroutes: [{matchers: [\'{a="b", c=~"d|e",}\']}]'),
    "matchers without quotes": with_route("receiver: r\nroutes: [{matchers: [a = b, 'c!=', d=~ .+ ]}]"),
    "a comma in quotes": with_route("receiver: r\nroutes:\n- matchers: ['a=\"x,y\"']"),
    "a backslash in a matcher": with_route("receiver: r\nroutes:\n- matchers: ['a=~\"\\d+\"', 'b=\"\\\\x\"']"),
    "an old match without a value": with_route("receiver: r\nroutes: [{match: {a: }}]"),
    "an inhibition of everything": with_route("receiver: r", "inhibit_rules: [{}]"),
    "an interval of old": with_route(
        "receiver: r\nroutes: [{mute_time_intervals: [a]}]", "mute_time_intervals: [{name: a, time_intervals: [{}]}]"
    ),
    "an interval of nothing": with_route("receiver: r", "time_intervals: [{name: a}]"),
    "local time": with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{location: Local}]}]"),
    "aliases": "route: {receiver: &r one}\nreceivers: [{name: *r}]\n",
    "a merge": with_receiver("webhook_configs: [&w {url: http://x/}, {<<: *w, max_alerts: 1}]"),
    "a secret as the API shows it": with_receiver("slack_configs: [{api_url: <secret>, channel: x}]"),
    "a file for slack": with_receiver("slack_configs: [{api_url_file: /x}]"),
    "slack from global": with_receiver("slack_configs: [{channel: x}]", "slack_api_url: https://x.example/y"),
    "sns with all three": with_receiver("sns_configs: [{topic_arn: a, phone_number: b, target_arn: c}]"),
    "sns with one": with_receiver("sns_configs: [{topic_arn: a, sigv4: {region: x, access_key: k, secret_key: s}}]"),
    "telegram": with_receiver("telegram_configs: [{bot_token: t, chat_id: -100123, parse_mode: ''}]"),
    "pushover": with_receiver("pushover_configs: [{user_key: u, token: t, retry: 1m30s, expire: 1.5h}]"),
    "opsgenie": with_receiver("opsgenie_configs: [{api_key: k, responders: [{name: a, type: Team}]}]"),
    "victorops": with_receiver("victorops_configs: [{api_key: k, routing_key: r}]"),
    "wechat": with_receiver("wechat_configs: [{api_secret: s, corp_id: c, message_type: markdown}]"),
    "webex": with_receiver("webex_configs: [{room_id: r, http_config: {authorization: {credentials: x}}}]"),
    "discord": with_receiver("discord_configs: [{webhook_url: https://discord.example/x}]"),
    "oauth2": with_receiver(
        "webhook_configs: [{url: http://x/, http_config: {oauth2: {client_id: a, client_secret: b, token_url: c}}}]"
    ),
    "basic_auth": with_receiver("webhook_configs: [{url: http://x/, http_config: {basic_auth: {username: a}}}]"),
    "a port in brackets": with_receiver("email_configs: [{to: a, from: b, smarthost: '[::1]:25'}]"),
    "both passwords of an email": with_receiver(
        "email_configs: [{to: a, from: b, smarthost: 'c:25', auth_password: x, auth_password_file: y}]"
    ),
    "a port by name": with_receiver("email_configs: [{to: a, from: b, smarthost: 'c:smtp'}]"),
    "integers of other forms": with_receiver("webhook_configs: [{url: http://x/, max_alerts: 1_000}]"),
}

# What Alertmanager 0.25 refuses, and where.
BAD = {
    "nothing": ("{}\n", "config"),
    "a list": ("- 1\n", "config"),
    "a text": ("just words\n", "config"),
    "broken YAML": ("route: [\n", "config"),
    "a key twice": ("route: {receiver: r}\nroute: {receiver: r}\nreceivers: [{name: r}]\n", "config"),
    "an unknown section": ("route: {receiver: r}\nreceivers: [{name: r}]\nreciever: []\n", "config.reciever"),
    "an unknown field of a route": (with_route("receiver: r\ngroupby: [a]"), "config.route.groupby"),
    "an unknown receiver": (with_route("receiver: nobody"), "config.route.receiver"),
    "an unknown receiver below": (
        with_route("receiver: r\nroutes:\n- routes:\n  - receiver: nobody"),
        "config.route.routes.0.routes.0.receiver",
    ),
    "a root without a receiver": (with_route("group_by: [a]"), "config.route"),
    "a root with matchers": (with_route("receiver: r\nmatchers: [a=b]"), "config.route.matchers"),
    "a root with match": (with_route("receiver: r\nmatch: {a: b}"), "config.route.match"),
    "a root that continues": (with_route("receiver: r\ncontinue: true"), "config.route.continue"),
    "a root with times": (
        with_route("receiver: r\nmute_time_intervals: [a]", "time_intervals: [{name: a}]"),
        "config.route.mute_time_intervals",
    ),
    "two receivers of one name": (
        "route: {receiver: r}\nreceivers: [{name: r}, {name: r}]\n",
        "config.receivers.1.name",
    ),
    "a receiver without a name": ("route: {receiver: r}\nreceivers: [{name: r}, {}]\n", "config.receivers.1"),
    "an interval that is not there": (
        with_route("receiver: r\nroutes: [{active_time_intervals: [a]}]"),
        "config.route.routes.0.active_time_intervals.0",
    ),
    "two intervals of one name": (
        with_route("receiver: r", "time_intervals: [{name: a}]\nmute_time_intervals: [{name: a}]"),
        "config.time_intervals.0.name",
    ),
    "a label twice": (with_route("receiver: r\ngroup_by: [a, b, a]"), "config.route.group_by"),
    "all labels and one more": (with_route("receiver: r\ngroup_by: ['...', a]"), "config.route.group_by"),
    "a label of bad form": (with_route("receiver: r\ngroup_by: [a-b]"), "config.route.group_by.0"),
    "a group interval of nothing": (with_route("receiver: r\ngroup_interval: 0s"), "config.route.group_interval"),
    "a repeat interval of nothing": (with_route("receiver: r\nrepeat_interval: 0"), "config.route.repeat_interval"),
    "a duration without a unit": (with_route("receiver: r\ngroup_wait: 30"), "config.route.group_wait"),
    "a negative duration": (with_route("receiver: r\ngroup_wait: -1s"), "config.route.group_wait"),
    "a duration of Go's": (with_route("receiver: r\ngroup_wait: 1.5h"), "config.route.group_wait"),
    "a duration in the wrong order": (with_route("receiver: r\ngroup_wait: 1h1d"), "config.route.group_wait"),
    "days for pushover": (
        with_receiver("pushover_configs: [{user_key: u, token: t, retry: 1d}]"),
        "config.receivers.0.pushover_configs.0.retry",
    ),
    "a quoted truth": (
        with_route("receiver: r\nroutes: [{continue: 'true'}]"),
        "config.route.routes.0.continue",
    ),
    "a quoted number": (
        with_receiver("webhook_configs: [{url: http://x/, max_alerts: '1'}]"),
        "config.receivers.0.webhook_configs.0.max_alerts",
    ),
    "a matcher without an operator": (
        with_route("receiver: r\nroutes: [{matchers: [a]}]"),
        "config.route.routes.0.matchers.0",
    ),
    "a matcher with an open quote": (
        with_route("receiver: r\nroutes:\n- matchers: ['a=\"b']"),
        "config.route.routes.0.matchers.0",
    ),
    "a matcher with a bad expression": (
        with_route("receiver: r\nroutes:\n- matchers: ['a=~\"(\"']"),
        "config.route.routes.0.matchers.0",
    ),
    "a look-ahead": (
        with_route("receiver: r\nroutes:\n- match_re: {a: '(?=x)'}"),
        "config.route.routes.0.match_re.a",
    ),
    "an expression of nothing": (
        with_route("receiver: r\nroutes:\n- match_re: {a: }"),
        "config.route.routes.0.match_re.a",
    ),
    "a match of a bad label": (
        with_route("receiver: r\nroutes:\n- match: {a-b: c}"),
        "config.route.routes.0.match.a-b",
    ),
    "matchers that are no list": (
        with_route("receiver: r\nroutes: [{matchers: a=b}]"),
        "config.route.routes.0.matchers",
    ),
    "an inhibition with a bad expression": (
        with_route("receiver: r", "inhibit_rules: [{source_match_re: {a: '['}}]"),
        "config.inhibit_rules.0.source_match_re.a",
    ),
    "an inhibition with a bad label": (
        with_route("receiver: r", "inhibit_rules: [{equal: [a b]}]"),
        "config.inhibit_rules.0.equal.0",
    ),
    "a day that does not exist": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{weekdays: [mon]}]}]"),
        "config.time_intervals.0.time_intervals.0.weekdays.0",
    ),
    "days backwards": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{weekdays: ['friday:monday']}]}]"),
        "config.time_intervals.0.time_intervals.0.weekdays.0",
    ),
    "day zero": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{days_of_month: [0]}]}]"),
        "config.time_intervals.0.time_intervals.0.days_of_month.0",
    ),
    "from the end to the beginning": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{days_of_month: ['-3:1']}]}]"),
        "config.time_intervals.0.time_intervals.0.days_of_month.0",
    ),
    "years backwards": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{years: ['2030:2020']}]}]"),
        "config.time_intervals.0.time_intervals.0.years.0",
    ),
    "a time that does not exist": (
        with_route(
            "receiver: r",
            "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '25:00', end_time: '26:00'}]}]}]",
        ),
        "config.time_intervals.0.time_intervals.0.times.0.start_time",
    ),
    "times backwards": (
        with_route(
            "receiver: r",
            "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '17:00', end_time: '09:00'}]}]}]",
        ),
        "config.time_intervals.0.time_intervals.0.times.0.end_time",
    ),
    "an hour of one digit": (
        with_route(
            "receiver: r",
            "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '9:00', end_time: '17:00'}]}]}]",
        ),
        "config.time_intervals.0.time_intervals.0.times.0.start_time",
    ),
    "days that end before they begin": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{days_of_month: ['5:-30']}]}]"),
        "config.time_intervals.0.time_intervals.0.days_of_month",
    ),
    "days that begin where the shortest month ends": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{days_of_month: ['28:-1']}]}]"),
        "config.time_intervals.0.time_intervals.0.days_of_month",
    ),
    "half a time": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '17:00'}]}]}]"),
        "config.time_intervals.0.time_intervals.0.times.0",
    ),
    "a zone on the moon": (
        with_route("receiver: r", "time_intervals: [{name: a, time_intervals: [{location: Moon/Crater}]}]"),
        "config.time_intervals.0.time_intervals.0.location",
    ),
    "a URL without a scheme": (
        with_receiver("webhook_configs: [{url: hooks.example}]"),
        "config.receivers.0.webhook_configs.0.url",
    ),
    "a URL of another scheme": (
        with_receiver("webhook_configs: [{url: 'ftp://hooks.example/'}]"),
        "config.receivers.0.webhook_configs.0.url",
    ),
    "no URL": (with_receiver("webhook_configs: [{}]"), "config.receivers.0.webhook_configs.0"),
    "slack from nowhere": (with_receiver("slack_configs: [{channel: x}]"), "config.receivers.0.slack_configs.0"),
    "two URLs for slack": (
        with_receiver("slack_configs: [{api_url: http://x/, api_url_file: y}]"),
        "config.receivers.0.slack_configs.0.api_url_file",
    ),
    "two global URLs for slack": (
        with_receiver("slack_configs: [{}]", "slack_api_url: http://x/\nslack_api_url_file: y"),
        "config.global.slack_api_url_file",
    ),
    "a slack action without text": (
        with_receiver("slack_configs: [{api_url: http://x/, actions: [{type: button, url: u}]}]"),
        "config.receivers.0.slack_configs.0.actions.0",
    ),
    "a slack field without a value": (
        with_receiver("slack_configs: [{api_url: http://x/, fields: [{title: t}]}]"),
        "config.receivers.0.slack_configs.0.fields.0",
    ),
    "mail to nobody": (
        with_receiver("email_configs: [{from: b, smarthost: 'c:25'}]"),
        "config.receivers.0.email_configs.0",
    ),
    "mail from nobody": (
        with_receiver("email_configs: [{to: b, smarthost: 'c:25'}]"),
        "config.receivers.0.email_configs.0",
    ),
    "mail by nothing": (with_receiver("email_configs: [{to: b, from: c}]"), "config.receivers.0.email_configs.0"),
    "a host without a port": (
        with_receiver("email_configs: [{to: a, from: b, smarthost: mail}]"),
        "config.receivers.0.email_configs.0.smarthost",
    ),
    "a header twice": (
        with_receiver("email_configs: [{to: a, from: b, smarthost: 'c:25', headers: {subject: a, Subject: b}}]"),
        "config.receivers.0.email_configs.0.headers",
    ),
    "no key for pagerduty": (with_receiver("pagerduty_configs: [{}]"), "config.receivers.0.pagerduty_configs.0"),
    "two keys for pagerduty": (
        with_receiver("pagerduty_configs: [{routing_key: a, routing_key_file: b}]"),
        "config.receivers.0.pagerduty_configs.0.routing_key_file",
    ),
    "no key for opsgenie": (with_receiver("opsgenie_configs: [{}]"), "config.receivers.0.opsgenie_configs.0"),
    "a responder of no kind": (
        with_receiver("opsgenie_configs: [{api_key: k, responders: [{name: a, type: cat}]}]"),
        "config.receivers.0.opsgenie_configs.0.responders.0.type",
    ),
    "a responder of no name": (
        with_receiver("opsgenie_configs: [{api_key: k, responders: [{type: team}]}]"),
        "config.receivers.0.opsgenie_configs.0.responders.0",
    ),
    "no route for victorops": (
        with_receiver("victorops_configs: [{api_key: k}]"),
        "config.receivers.0.victorops_configs.0",
    ),
    "a fixed field of victorops": (
        with_receiver("victorops_configs: [{api_key: k, routing_key: r, custom_fields: {entity_id: x}}]"),
        "config.receivers.0.victorops_configs.0.custom_fields",
    ),
    "no token for pushover": (
        with_receiver("pushover_configs: [{user_key: u}]"),
        "config.receivers.0.pushover_configs.0",
    ),
    "no company for wechat": (
        with_receiver("wechat_configs: [{api_secret: s}]"),
        "config.receivers.0.wechat_configs.0",
    ),
    "a message of no kind for wechat": (
        with_receiver("wechat_configs: [{api_secret: s, corp_id: c, message_type: html}]"),
        "config.receivers.0.wechat_configs.0.message_type",
    ),
    "no chat for telegram": (
        with_receiver("telegram_configs: [{bot_token: t}]"),
        "config.receivers.0.telegram_configs.0",
    ),
    "a mode of no kind for telegram": (
        with_receiver("telegram_configs: [{bot_token: t, chat_id: 1, parse_mode: html}]"),
        "config.receivers.0.telegram_configs.0.parse_mode",
    ),
    "no topic for sns": (with_receiver("sns_configs: [{}]"), "config.receivers.0.sns_configs.0"),
    "half a key for sns": (
        with_receiver("sns_configs: [{topic_arn: a, sigv4: {access_key: k}}]"),
        "config.receivers.0.sns_configs.0.sigv4",
    ),
    "no room for webex": (
        with_receiver("webex_configs: [{http_config: {authorization: {credentials: x}}}]"),
        "config.receivers.0.webex_configs.0",
    ),
    "no token for webex": (with_receiver("webex_configs: [{room_id: x}]"), "config.receivers.0.webex_configs.0"),
    "two ways to log in": (
        with_receiver(
            "webhook_configs: [{url: http://x/, http_config: {basic_auth: {username: a}, authorization: {type: b}}}]"
        ),
        "config.receivers.0.webhook_configs.0.http_config.authorization",
    ),
    "two passwords": (
        with_receiver(
            "webhook_configs: [{url: http://x/, http_config: {basic_auth: {password: a, password_file: b}}}]"
        ),
        "config.receivers.0.webhook_configs.0.http_config.basic_auth.password_file",
    ),
    "basic authorization": (
        with_receiver("webhook_configs: [{url: http://x/, http_config: {authorization: {type: Basic}}}]"),
        "config.receivers.0.webhook_configs.0.http_config.authorization.type",
    ),
    "a TLS version of no kind": (
        with_receiver("webhook_configs: [{url: http://x/, http_config: {tls_config: {min_version: SSL3}}}]"),
        "config.receivers.0.webhook_configs.0.http_config.tls_config.min_version",
    ),
    "an unknown field of an integration": (
        with_receiver("webhook_configs: [{url: http://x/, send_resolve: true}]"),
        "config.receivers.0.webhook_configs.0.send_resolve",
    ),
}
