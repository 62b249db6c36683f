"""A whole Alertmanager configuration: global settings, the tree of routes, inhibitions, receivers. Pure."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from alertagent.core.alertmanager.fields import (
    SECRET,
    Duration,
    File,
    Flag,
    HostPort,
    Number,
    Secret,
    SecretUrl,
    Section,
    Since,
    Template,
    Text,
    Texts,
    Url,
)
from alertagent.core.alertmanager.http import Headers, HttpConfig, Tls
from alertagent.core.alertmanager.receivers import Receiver
from alertagent.core.alertmanager.times import TimeInterval

ALL_LABELS = "..."

Match = Mapping[str, Text | None]


class Global(Section):
    at_most_one: ClassVar = (
        ("smtp_auth_password", "smtp_auth_password_file"),
        ("smtp_auth_secret", "smtp_auth_secret_file"),
        ("slack_api_url", "slack_api_url_file"),
        ("slack_app_token", "slack_app_token_file"),
        ("opsgenie_api_key", "opsgenie_api_key_file"),
        ("victorops_api_key", "victorops_api_key_file"),
        ("telegram_bot_token", "telegram_bot_token_file"),
        ("wechat_api_secret", "wechat_api_secret_file"),
        ("rocketchat_token", "rocketchat_token_file"),
        ("rocketchat_token_id", "rocketchat_token_id_file"),
        ("mattermost_webhook_url", "mattermost_webhook_url_file"),
    )

    resolve_timeout: Duration | None = None
    http_config: HttpConfig | None = None
    smtp_from: Template | None = None
    smtp_hello: Text | None = None
    smtp_smarthost: HostPort | None = None
    smtp_auth_username: Text | None = None
    smtp_auth_password: Secret | None = None
    smtp_auth_password_file: File | None = None
    smtp_auth_secret: Secret | None = None
    smtp_auth_secret_file: Annotated[File | None, Since("0.31")] = None
    smtp_auth_identity: Text | None = None
    smtp_require_tls: Flag | None = None
    smtp_tls_config: Annotated[Tls | None, Since("0.28")] = None
    smtp_force_implicit_tls: Annotated[Flag | None, Since("0.31")] = None
    slack_api_url: SecretUrl | None = None
    slack_api_url_file: File | None = None
    slack_app_token: Annotated[Secret | None, Since("0.30")] = None
    slack_app_token_file: Annotated[File | None, Since("0.30")] = None
    slack_app_url: Annotated[Url | None, Since("0.30")] = None
    pagerduty_url: Url | None = None
    opsgenie_api_url: Url | None = None
    opsgenie_api_key: Secret | None = None
    opsgenie_api_key_file: File | None = None
    wechat_api_url: Url | None = None
    wechat_api_secret: Secret | None = None
    wechat_api_secret_file: Annotated[File | None, Since("0.31")] = None
    wechat_api_corp_id: Text | None = None
    victorops_api_url: Url | None = None
    victorops_api_key: Secret | None = None
    victorops_api_key_file: File | None = None
    telegram_api_url: Url | None = None
    telegram_bot_token: Annotated[Secret | None, Since("0.31")] = None
    telegram_bot_token_file: Annotated[File | None, Since("0.31")] = None
    webex_api_url: Url | None = None
    jira_api_url: Annotated[Url | None, Since("0.28")] = None
    rocketchat_api_url: Annotated[Url | None, Since("0.28")] = None
    rocketchat_token: Annotated[Secret | None, Since("0.28")] = None
    rocketchat_token_file: Annotated[File | None, Since("0.28")] = None
    rocketchat_token_id: Annotated[Secret | None, Since("0.28")] = None
    rocketchat_token_id_file: Annotated[File | None, Since("0.28")] = None
    mattermost_webhook_url: Annotated[SecretUrl | None, Since("0.31")] = None
    mattermost_webhook_url_file: Annotated[File | None, Since("0.31")] = None


class Route(Section):
    """A node of the routing tree; what it leaves out it has from its parent."""

    receiver: Text | None = None
    group_by: Texts | None = None
    match: Match | None = None
    match_re: Match | None = None
    matchers: Texts | None = None
    mute_time_intervals: Texts | None = None
    active_time_intervals: Texts | None = None
    continue_: Annotated[Flag | None, Field(alias="continue")] = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    routes: "tuple[Route, ...] | None" = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        for name in ("group_interval", "repeat_interval"):
            if getattr(self, name) == timedelta():
                yield name, "must be more than 0"
        labels = self.group_by or ()
        if ALL_LABELS in labels and len(set(labels)) > 1:
            yield "group_by", f'"{ALL_LABELS}" stands for all labels and must stand alone'
        elif len(set(labels)) < len(labels) and ALL_LABELS not in labels:
            yield "group_by", "a label stands twice"


class InhibitRule(Section):
    name: Annotated[Text | None, Since("0.30")] = None
    source_match: Match | None = None
    source_match_re: Match | None = None
    source_matchers: Texts | None = None
    target_match: Match | None = None
    target_match_re: Match | None = None
    target_matchers: Texts | None = None
    equal: Texts | None = None


class Tracing(Section):
    client_type: Literal["http", "grpc"] | None = None
    endpoint: Text | None = None
    sampling_fraction: Number | None = None
    insecure: Flag | None = None
    tls_config: Tls | None = None
    headers: Headers | None = None
    compression: Literal["gzip", ""] | None = None
    timeout: Duration | None = None


class Tree(Section):
    """What decides who hears of an alert, and when."""

    route: Route | None = None
    inhibit_rules: tuple[InhibitRule, ...] | None = None
    mute_time_intervals: tuple[TimeInterval, ...] | None = None
    time_intervals: tuple[TimeInterval, ...] | None = None

    @property
    def intervals(self) -> tuple[TimeInterval, ...]:
        """The named intervals of time, under the older name and the newer."""
        return (*(self.mute_time_intervals or ()), *(self.time_intervals or ()))


class Document(Tree):
    global_: Annotated[Global | None, Field(alias="global")] = None
    receivers: tuple[Receiver, ...] | None = None
    templates: Texts | None = None
    tracing: Annotated[Tracing | None, Since("0.30")] = None
    # Young and still changing: amtool judges what is in it.
    event_recorder: Annotated[Any, Since("0.33"), SECRET] = None
