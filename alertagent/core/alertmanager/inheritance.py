"""What an integration must have from somewhere: from itself or from the global settings. Pure."""

from collections.abc import Iterator

from alertagent.core.alertmanager.chats import SLACK_API, Slack
from alertagent.core.alertmanager.document import Document, Global
from alertagent.core.alertmanager.receivers import Receiver
from alertagent.core.alertmanager.walk import Loc

Finding = tuple[Loc, str]

# integration -> (its own fields, the global fields) for each thing of which one must be given.
_NEEDS: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    "email_configs": ((("smarthost",), ("smtp_smarthost",)), (("from",), ("smtp_from",))),
    "slack_configs": (
        (
            ("api_url", "api_url_file", "app_token", "app_token_file"),
            ("slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file"),
        ),
    ),
    "opsgenie_configs": ((("api_key", "api_key_file"), ("opsgenie_api_key", "opsgenie_api_key_file")),),
    "victorops_configs": ((("api_key", "api_key_file"), ("victorops_api_key", "victorops_api_key_file")),),
    "wechat_configs": (
        (("api_secret", "api_secret_file"), ("wechat_api_secret", "wechat_api_secret_file")),
        (("corp_id",), ("wechat_api_corp_id",)),
    ),
    "telegram_configs": ((("bot_token", "bot_token_file"), ("telegram_bot_token", "telegram_bot_token_file")),),
    "jira_configs": ((("api_url",), ("jira_api_url",)),),
    "rocketchat_configs": (
        (("token", "token_file"), ("rocketchat_token", "rocketchat_token_file")),
        (("token_id", "token_id_file"), ("rocketchat_token_id", "rocketchat_token_id_file")),
    ),
    "mattermost_configs": (
        (("webhook_url", "webhook_url_file"), ("mattermost_webhook_url", "mattermost_webhook_url_file")),
    ),
}


def check_inherited(document: Document) -> Iterator[Finding]:
    settings = document.global_ or Global()
    yield from _check_slack_settings(settings)
    for index, receiver in enumerate(document.receivers or ()):
        yield from _check_receiver(receiver, settings, ("receivers", index))


def _check_receiver(receiver: Receiver, settings: Global, loc: Loc) -> Iterator[Finding]:
    for kind, needs in _NEEDS.items():
        for index, integration in enumerate(getattr(receiver, kind) or ()):
            for own, inherited in needs:
                if not integration.has(*map(integration.keys().__getitem__, own)) and not settings.has(*inherited):
                    names = f"{' or '.join(own)}, or global {' or '.join(inherited)}"
                    yield (*loc, kind, index), f"needs {names}"
    for index, slack in enumerate(receiver.slack_configs or ()):
        yield from _check_slack(slack, (*loc, "slack_configs", index))


def _check_slack(slack: Slack, loc: Loc) -> Iterator[Finding]:
    is_authorized = slack.http_config is not None and slack.http_config.authorization is not None
    if is_authorized and slack.has("app_token", "app_token_file"):
        yield (*loc, "http_config", "authorization"), "cannot be given together with app_token"


def _check_slack_settings(settings: Global) -> Iterator[Finding]:
    """Both may be given where they mean the same: the way in which a bot's token was given before 0.30."""
    has_token = settings.has("slack_app_token", "slack_app_token_file")
    if has_token and settings.has("slack_api_url_file"):
        yield ("global", "slack_api_url_file"), "cannot be given together with slack_app_token"
    if has_token and settings.slack_api_url not in {None, settings.slack_app_url or SLACK_API}:
        yield ("global", "slack_api_url"), "cannot be given together with slack_app_token"
