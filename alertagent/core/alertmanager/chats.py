"""Integrations with chats: the fields of each, as of Alertmanager 0.25 to 0.34. Pure."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from alertagent.core.alertmanager.fields import (
    File,
    Flag,
    GoDuration,
    Integer,
    Secret,
    SecretUrl,
    Section,
    Since,
    Template,
    Text,
    Texts,
    Url,
)
from alertagent.core.alertmanager.http import HttpIntegration

SLACK_API = "https://slack.com/api/chat.postMessage"


class SlackConfirmation(Section):
    at_least_one: ClassVar = (("text",),)

    text: Template | None = None
    title: Template | None = None
    ok_text: Template | None = None
    dismiss_text: Template | None = None


class SlackAction(Section):
    at_least_one: ClassVar = (("type",), ("text",), ("name", "url"))

    type: Template | None = None
    text: Template | None = None
    url: Template | None = None
    style: Template | None = None
    name: Template | None = None
    value: Template | None = None
    confirm: SlackConfirmation | None = None


class TitledField(Section):
    """A field of a message in Slack, which Mattermost takes over."""

    at_least_one: ClassVar = (("title",), ("value",))

    title: Template | None = None
    value: Template | None = None
    short: Flag | None = None


class SlackThreadHeader(Section):
    resolve_color: Template | None = None


class SlackThread(Section):
    resolve_emoji: Text | None = None
    use_summary_header: Flag | None = None
    summary_header: SlackThreadHeader | None = None


class Slack(HttpIntegration):
    at_most_one: ClassVar = (
        ("api_url", "api_url_file"),
        ("app_token", "app_token_file"),
        ("api_url", "app_token"),
        ("api_url", "app_token_file"),
        ("api_url_file", "app_token"),
        ("api_url_file", "app_token_file"),
    )

    api_url: SecretUrl | None = None
    api_url_file: File | None = None
    app_token: Annotated[Secret | None, Since("0.30")] = None
    app_token_file: Annotated[File | None, Since("0.30")] = None
    app_url: Annotated[Url | None, Since("0.30")] = None
    channel: Template | None = None
    username: Template | None = None
    color: Template | None = None
    title: Template | None = None
    title_link: Template | None = None
    pretext: Template | None = None
    text: Template | None = None
    message_text: Annotated[Template | None, Since("0.31")] = None
    fields: tuple[TitledField, ...] | None = None
    short_fields: Flag | None = None
    footer: Template | None = None
    fallback: Template | None = None
    callback_id: Template | None = None
    icon_emoji: Template | None = None
    icon_url: Template | None = None
    image_url: Template | None = None
    thumb_url: Template | None = None
    link_names: Flag | None = None
    mrkdwn_in: Texts | None = None
    actions: tuple[SlackAction, ...] | None = None
    update_message: Annotated[Flag | None, Since("0.31")] = None
    message_strategy: Annotated[Literal["new", "update", "thread", ""] | None, Since("0.33")] = None
    threaded_options: Annotated[SlackThread | None, Since("0.33")] = None
    timeout: Annotated[GoDuration | None, Since("0.30")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.update_message and self.api_url is not None and self.api_url != SLACK_API:
            yield "update_message", f"works with a bot's token only, at the api_url {SLACK_API}"
        if self.update_message and self.message_strategy not in {None, "", "update"}:
            yield "message_strategy", "must be update where update_message is true"
        if self.threaded_options and self.message_strategy != "thread":
            yield "threaded_options", "needs the message_strategy thread"


class MattermostAttachment(Section):
    fallback: Template | None = None
    color: Template | None = None
    pretext: Template | None = None
    text: Template | None = None
    author_name: Template | None = None
    author_link: Template | None = None
    author_icon: Template | None = None
    title: Template | None = None
    title_link: Template | None = None
    fields: tuple[TitledField, ...] | None = None
    thumb_url: Template | None = None
    footer: Template | None = None
    footer_icon: Template | None = None
    image_url: Template | None = None


class MattermostProps(Section):
    card: Template | None = None


class MattermostPriority(Section):
    priority: Template | None = None
    requested_ack: Flag | None = None
    persistent_notifications: Flag | None = None


class Mattermost(HttpIntegration):
    at_most_one: ClassVar = (("webhook_url", "webhook_url_file"),)

    webhook_url: SecretUrl | None = None
    webhook_url_file: File | None = None
    channel: Template | None = None
    username: Template | None = None
    text: Template | None = None
    fallback: Template | None = None
    color: Template | None = None
    pretext: Template | None = None
    author_name: Template | None = None
    author_link: Template | None = None
    author_icon: Template | None = None
    title: Template | None = None
    title_link: Template | None = None
    fields: tuple[TitledField, ...] | None = None
    thumb_url: Template | None = None
    footer: Template | None = None
    footer_icon: Template | None = None
    image_url: Template | None = None
    icon_url: Template | None = None
    icon_emoji: Template | None = None
    attachments: tuple[MattermostAttachment, ...] | None = None
    type: Template | None = None
    props: MattermostProps | None = None
    priority: MattermostPriority | None = None


class RocketchatField(Section):
    title: Template | None = None
    value: Template | None = None
    short: Flag | None = None


class RocketchatAction(Section):
    """Alertmanager reads these keys in lower case, without the underscores of the others."""

    type: Template | None = None
    text: Template | None = None
    url: Template | None = None
    imageurl: Template | None = None
    iswebview: Flag | None = None
    webviewheightratio: Text | None = None
    msg: Template | None = None
    msginchatwindow: Flag | None = None
    msgprocessingtype: Text | None = None


class Rocketchat(HttpIntegration):
    at_most_one: ClassVar = (("token", "token_file"), ("token_id", "token_id_file"))

    api_url: Url | None = None
    token_id: Secret | None = None
    token_id_file: File | None = None
    token: Secret | None = None
    token_file: File | None = None
    channel: Template | None = None
    color: Template | None = None
    title: Template | None = None
    title_link: Template | None = None
    text: Template | None = None
    fields: tuple[RocketchatField, ...] | None = None
    short_fields: Flag | None = None
    emoji: Template | None = None
    icon_url: Template | None = None
    image_url: Template | None = None
    thumb_url: Template | None = None
    link_names: Flag | None = None
    actions: tuple[RocketchatAction, ...] | None = None


class Discord(HttpIntegration):
    at_least_one: ClassVar = (("webhook_url", "webhook_url_file"),)
    at_most_one: ClassVar = at_least_one

    webhook_url: SecretUrl | None = None
    webhook_url_file: Annotated[File | None, Since("0.28")] = None
    content: Annotated[Template | None, Since("0.28")] = None
    title: Template | None = None
    message: Template | None = None
    username: Annotated[Template | None, Since("0.28")] = None
    avatar_url: Annotated[Template | None, Since("0.28")] = None


class MsTeams(HttpIntegration):
    at_least_one: ClassVar = (("webhook_url", "webhook_url_file"),)
    at_most_one: ClassVar = at_least_one

    webhook_url: SecretUrl | None = None
    webhook_url_file: Annotated[File | None, Since("0.27")] = None
    title: Template | None = None
    summary: Annotated[Template | None, Since("0.27")] = None
    text: Template | None = None


class MsTeamsV2(HttpIntegration):
    at_least_one: ClassVar = (("webhook_url", "webhook_url_file"),)
    at_most_one: ClassVar = at_least_one

    webhook_url: SecretUrl | None = None
    webhook_url_file: File | None = None
    title: Template | None = None
    text: Template | None = None


class Telegram(HttpIntegration):
    at_most_one: ClassVar = (("bot_token", "bot_token_file"), ("chat_id", "chat_id_file"))

    api_url: Url | None = None
    bot_token: Secret | None = None
    bot_token_file: Annotated[File | None, Since("0.26")] = None
    chat_id: Integer | None = None
    chat_id_file: Annotated[File | None, Since("0.31")] = None
    message_thread_id: Annotated[Integer | None, Since("0.26")] = None
    message: Template | None = None
    disable_notifications: Flag | None = None
    parse_mode: Literal["MarkdownV2", "Markdown", "HTML", ""] | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if not self.chat_id and not self.has("chat_id_file"):
            yield None, "needs chat_id or chat_id_file"


class Webex(HttpIntegration):
    at_least_one: ClassVar = (("room_id",),)

    api_url: Url | None = None
    message: Template | None = None
    room_id: Template | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.http_config is None or self.http_config.authorization is None:
            yield None, "needs http_config.authorization, which holds the bot's token"


class Wechat(HttpIntegration):
    at_most_one: ClassVar = (("api_secret", "api_secret_file"),)

    api_secret: Secret | None = None
    api_secret_file: Annotated[File | None, Since("0.31")] = None
    corp_id: Text | None = None
    message: Template | None = None
    api_url: Url | None = None
    to_user: Template | None = None
    to_party: Template | None = None
    to_tag: Template | None = None
    agent_id: Template | None = None
    message_type: Literal["text", "markdown", ""] | None = None
