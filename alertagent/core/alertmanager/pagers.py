"""Integrations with services that page people, keep tickets or pass on: the fields of each. Pure."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from alertagent.core.alertmanager.fields import (
    Count,
    Duration,
    File,
    Flag,
    GoDuration,
    HostPort,
    Pairs,
    Secret,
    SecretTemplateUrl,
    Section,
    Since,
    Template,
    Text,
    Url,
)
from alertagent.core.alertmanager.http import HttpIntegration, Integration, SigV4, Tls


class Threading(Section):
    enabled: Flag | None = None
    thread_by_date: Literal["none", "daily", ""] | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.enabled and not self.thread_by_date:
            yield "thread_by_date", "must be none or daily"


class Email(Integration):
    at_least_one: ClassVar = (("to",),)

    to: Template | None = None
    from_: Annotated[Template | None, Field(alias="from")] = None
    hello: Text | None = None
    smarthost: HostPort | None = None
    auth_username: Text | None = None
    auth_password: Secret | None = None
    auth_password_file: File | None = None
    auth_secret: Secret | None = None
    auth_secret_file: Annotated[File | None, Since("0.31")] = None
    auth_identity: Text | None = None
    headers: Pairs | None = None
    html: Template | None = None
    text: Template | None = None
    require_tls: Flag | None = None
    tls_config: Tls | None = None
    force_implicit_tls: Annotated[Flag | None, Since("0.31")] = None
    threading: Annotated[Threading | None, Since("0.30")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        names = [name.title() for name in self.headers or ()]
        if len(set(names)) < len(names):
            yield "headers", "the same header stands twice; upper and lower case do not count"
        if self.threading and self.threading.enabled and {"References", "In-Reply-To"} & set(names):
            yield "headers", "References and In-Reply-To belong to threading, which is enabled"


class PagerdutyImage(Section):
    src: Template | None = None
    alt: Template | None = None
    href: Template | None = None


class PagerdutyLink(Section):
    href: Template | None = None
    text: Template | None = None


class Pagerduty(HttpIntegration):
    at_least_one: ClassVar = (("routing_key", "routing_key_file", "service_key", "service_key_file"),)
    at_most_one: ClassVar = (("routing_key", "routing_key_file"), ("service_key", "service_key_file"))

    service_key: Secret | None = None
    service_key_file: File | None = None
    routing_key: Secret | None = None
    routing_key_file: File | None = None
    url: Url | None = None
    client: Template | None = None
    client_url: Template | None = None
    description: Template | None = None
    # Nested values came with 0.30; texts were always allowed.
    details: Mapping[str, Any] | None = None
    images: tuple[PagerdutyImage, ...] | None = None
    links: tuple[PagerdutyLink, ...] | None = None
    source: Template | None = None
    severity: Template | None = None
    class_: Annotated[Template | None, Field(alias="class")] = None
    component: Template | None = None
    group: Template | None = None
    timeout: Annotated[GoDuration | None, Since("0.30")] = None


class Webhook(HttpIntegration):
    at_least_one: ClassVar = (("url", "url_file"),)
    at_most_one: ClassVar = (("url", "url_file"),)

    url: SecretTemplateUrl | None = None
    url_file: Annotated[File | None, Since("0.26")] = None
    max_alerts: Count | None = None
    timeout: Annotated[GoDuration | None, Since("0.28")] = None
    payload: Annotated[Any, Since("0.31")] = None


class Responder(Section):
    at_least_one: ClassVar = (("id", "name", "username"),)

    id: Template | None = None
    name: Template | None = None
    username: Template | None = None
    type: Template | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        known = {"team", "teams", "user", "escalation", "schedule"}
        if self.type is None or ("{{" not in self.type and self.type.lower() not in known):
            yield "type", "must be team, teams, user, escalation or schedule"


class Opsgenie(HttpIntegration):
    at_most_one: ClassVar = (("api_key", "api_key_file"),)

    api_key: Secret | None = None
    api_key_file: File | None = None
    api_url: Url | None = None
    message: Template | None = None
    description: Template | None = None
    source: Template | None = None
    details: Pairs | None = None
    entity: Template | None = None
    responders: tuple[Responder, ...] | None = None
    actions: Template | None = None
    tags: Template | None = None
    note: Template | None = None
    priority: Template | None = None
    update_alerts: Flag | None = None


class Pushover(HttpIntegration):
    at_least_one: ClassVar = (("user_key", "user_key_file"), ("token", "token_file"))
    at_most_one: ClassVar = (*at_least_one, ("html", "monospace"))

    user_key: Secret | None = None
    user_key_file: Annotated[File | None, Since("0.26")] = None
    token: Secret | None = None
    token_file: Annotated[File | None, Since("0.26")] = None
    title: Template | None = None
    message: Template | None = None
    url: Template | None = None
    url_title: Template | None = None
    device: Annotated[Template | None, Since("0.26")] = None
    sound: Template | None = None
    priority: Template | None = None
    retry: GoDuration | None = None
    expire: GoDuration | None = None
    ttl: Annotated[GoDuration | None, Since("0.26")] = None
    html: Flag | None = None
    monospace: Annotated[Flag | None, Since("0.29")] = None

    def has(self, *names: str) -> bool:
        return any(super(Pushover, self).has(name) and getattr(self, name) is not False for name in names)


class Victorops(HttpIntegration):
    at_least_one: ClassVar = (("routing_key",),)
    at_most_one: ClassVar = (("api_key", "api_key_file"),)

    api_key: Secret | None = None
    api_key_file: File | None = None
    api_url: Url | None = None
    routing_key: Template | None = None
    message_type: Template | None = None
    state_message: Template | None = None
    entity_display_name: Template | None = None
    monitoring_tool: Template | None = None
    custom_fields: Pairs | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        fixed = {"routing_key", "message_type", "state_message", "entity_display_name", "monitoring_tool"}
        if taken := (fixed | {"entity_id", "entity_state"}) & set(self.custom_fields or ()):
            yield "custom_fields", f"{', '.join(sorted(taken))} cannot be a field of your own"


class Sns(HttpIntegration):
    api_url: Template | None = None
    sigv4: SigV4 | None = None
    topic_arn: Template | None = None
    phone_number: Template | None = None
    target_arn: Template | None = None
    subject: Template | None = None
    message: Template | None = None
    attributes: Pairs | None = None
    use_aws_http_client: Annotated[Flag | None, Since("0.31")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        # Alertmanager's own condition: it lets all three pass as well.
        if sum(map(self.has, ("topic_arn", "phone_number", "target_arn"))) % 2 == 0:
            yield None, "needs either topic_arn, phone_number or target_arn"


class Jira(HttpIntegration):
    at_least_one: ClassVar = (("project",), ("issue_type",))

    api_url: Url | None = None
    api_type: Annotated[Literal["auto", "cloud", "datacenter", ""] | None, Since("0.29")] = None
    project: Template | None = None
    # Since 0.30 also as a mapping that says when they are updated.
    summary: Any = None
    description: Any = None
    labels: tuple[Template, ...] | None = None
    priority: Template | None = None
    issue_type: Template | None = None
    reopen_transition: Template | None = None
    resolve_transition: Template | None = None
    wont_fix_resolution: Template | None = None
    reopen_duration: Duration | None = None
    fields: Mapping[str, Any] | None = None


class Incidentio(HttpIntegration):
    at_least_one: ClassVar = (("url", "url_file"),)
    at_most_one: ClassVar = (("url", "url_file"), ("alert_source_token", "alert_source_token_file"))

    url: Url | None = None
    url_file: File | None = None
    alert_source_token: Secret | None = None
    alert_source_token_file: File | None = None
    max_alerts: Count | None = None
    timeout: GoDuration | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        has_token = self.has("alert_source_token", "alert_source_token_file")
        if self.http_config is not None and (self.http_config.authorization is not None) == has_token:
            yield None, "needs either an alert_source_token or http_config.authorization"
