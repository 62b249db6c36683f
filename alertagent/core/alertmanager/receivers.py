"""A receiver: a name, and the integrations by which it is told, as of Alertmanager 0.25 to 0.34. Pure."""

from typing import Annotated, ClassVar

from alertagent.core.alertmanager.chats import (
    Discord,
    Mattermost,
    MsTeams,
    MsTeamsV2,
    Rocketchat,
    Slack,
    Telegram,
    Webex,
    Wechat,
)
from alertagent.core.alertmanager.fields import Section, Since, Text
from alertagent.core.alertmanager.pagers import (
    Email,
    Incidentio,
    Jira,
    Opsgenie,
    Pagerduty,
    Pushover,
    Sns,
    Victorops,
    Webhook,
)


class Receiver(Section):
    at_least_one: ClassVar = (("name",),)

    name: Text | None = None
    discord_configs: tuple[Discord, ...] | None = None
    email_configs: tuple[Email, ...] | None = None
    incidentio_configs: Annotated[tuple[Incidentio, ...] | None, Since("0.29")] = None
    pagerduty_configs: tuple[Pagerduty, ...] | None = None
    slack_configs: tuple[Slack, ...] | None = None
    webhook_configs: tuple[Webhook, ...] | None = None
    opsgenie_configs: tuple[Opsgenie, ...] | None = None
    wechat_configs: tuple[Wechat, ...] | None = None
    pushover_configs: tuple[Pushover, ...] | None = None
    victorops_configs: tuple[Victorops, ...] | None = None
    sns_configs: tuple[Sns, ...] | None = None
    telegram_configs: tuple[Telegram, ...] | None = None
    webex_configs: tuple[Webex, ...] | None = None
    msteams_configs: Annotated[tuple[MsTeams, ...] | None, Since("0.26")] = None
    msteamsv2_configs: Annotated[tuple[MsTeamsV2, ...] | None, Since("0.28")] = None
    jira_configs: Annotated[tuple[Jira, ...] | None, Since("0.28")] = None
    rocketchat_configs: Annotated[tuple[Rocketchat, ...] | None, Since("0.28")] = None
    mattermost_configs: Annotated[tuple[Mattermost, ...] | None, Since("0.30")] = None
