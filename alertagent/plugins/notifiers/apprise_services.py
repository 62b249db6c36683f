"""Which services of apprise there are here: each of them was seen to send one HTTP request for a message. Pure.

A service is missing here for one of four reasons. It has a plugin of its own; it speaks something else than HTTP, or
reads files; its message stands in the address, which is too short for one; or nobody has looked at it yet.
"""

_HOSTED = {
    "betterstack": "betterstack.NotifyBetterStack",
    "brevo": "brevo.NotifyBrevo",
    "bulksms": "bulksms.NotifyBulkSMS",
    "clicksend": "clicksend.NotifyClickSend",
    "cliq": "cliq.NotifyCliq",
    "d7sms": "d7networks.NotifyD7Networks",
    "firehydrant": "firehydrant.NotifyFireHydrant",
    "flock": "flock.NotifyFlock",
    "gchat": "google_chat.NotifyGoogleChat",
    "ifttt": "ifttt.NotifyIFTTT",
    "ilert": "ilert.NotifyILert",
    "incidentio": "incidentio.NotifyIncidentIO",
    "line": "line.NotifyLine",
    "mailgun": "mailgun.NotifyMailgun",
    "msgbird": "messagebird.NotifyMessageBird",
    "notica": "notica.NotifyNotica",
    "pagertree": "pagertree.NotifyPagerTree",
    "pbul": "pushbullet.NotifyPushBullet",
    "postmark": "postmark.NotifyPostmark",
    "pover": "pushover.NotifyPushover",
    "prowl": "prowl.NotifyProwl",
    "psafers": "pushsafer.NotifyPushSafer",
    "pushplus": "pushplus.NotifyPushplus",
    "pushy": "pushy.NotifyPushy",
    "qq": "qq.NotifyQQ",
    "resend": "resend.NotifyResend",
    "revolt": "revolt.NotifyRevolt",
    "ryver": "ryver.NotifyRyver",
    "schan": "serverchan.NotifyServerChan",
    "sendgrid": "sendgrid.NotifySendGrid",
    "seven": "seven.NotifySeven",
    "signl4": "signl4.NotifySIGNL4",
    "sinch": "sinch.NotifySinch",
    "smtp2go": "smtp2go.NotifySMTP2Go",
    "sparkpost": "sparkpost.NotifySparkPost",
    "spike": "spike.NotifySpike",
    "splunk": "splunk.NotifySplunk",
    "spugpush": "spugpush.NotifySpugpush",
    "spush": "simplepush.NotifySimplePush",
    "squadcast": "squadcast.NotifySquadcast",
    "telnyx": "telnyx.NotifyTelnyx",
    "twilio": "twilio.NotifyTwilio",
    "viber": "viber.NotifyViber",
    "vonage": "vonage.NotifyVonage",
    "webex": "webexteams.NotifyWebexTeams",
    "wxpusher": "wxpusher.NotifyWxPusher",
    "zoom": "zoom.NotifyZoom",
    "zulip": "zulip.NotifyZulip",
}

# On servers of one's own: by HTTP, or with an s at the end by HTTPS.
_OWN = {
    "bark": "bark.NotifyBark",
    "gotify": "gotify.NotifyGotify",
    "hassio": "home_assistant.NotifyHomeAssistant",
    "mmost": "mattermost.NotifyMattermost",
    "nctalk": "nextcloudtalk.NotifyNextcloudTalk",
    "ntfy": "ntfy.NotifyNtfy",
    "pushdeer": "pushdeer.NotifyPushDeer",
    "rocket": "rocketchat.NotifyRocketChat",
    "signal": "signal_api.NotifySignalAPI",
    "synology": "synology.NotifySynology",
}

SERVICES = {**_HOSTED, **_OWN, **{f"{schema}s": path for schema, path in _OWN.items()}}
"""The module and the class of each, by the schema of its URLs."""

PLUGINS = {
    "dingtalk": "dingtalk",
    "discord": "discord",
    "feishu": "feishu",
    "json": "webhook",
    "jsons": "webhook",
    "lark": "feishu",
    "mailto": "email",
    "mailtos": "email",
    "msteams": "teams",
    "opsgenie": "opsgenie",
    "pagerduty": "pagerduty",
    "slack": "slack",
    "tgram": "telegram",
    "wecombot": "wecom",
    "workflow": "teams",
    "workflows": "teams",
}
"""The plugins that tell what apprise could, too, and know more of it."""
