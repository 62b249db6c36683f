"""Messages in a template's words, in every plugin that takes them: drawn as its own layout is, and as safe."""

import re
from collections.abc import Callable
from datetime import UTC
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from functools import partial
from typing import Any

import orjson
import pytest

from alertagent.core.templates.lines import lines_of
from alertagent.core.templates.sandbox import CLOSE, OPEN
from alertagent.kernel.language import Language
from alertagent.kernel.message import Kind, Line, Message, PageLinks, Wording
from alertagent.plugins.base import HttpNotifier, Worded
from alertagent.plugins.notifiers.apprise import Service
from alertagent.plugins.notifiers.apprise import worded as worded_for_apprise
from alertagent.plugins.notifiers.console import readable
from alertagent.plugins.notifiers.mail import compose
from alertagent.plugins.registry import Registry
from tests.support.messages import NOON, make_alert, make_message

HOOK = {"webhook_url": "https://hooks.example/x"}
SETTINGS: dict[str, dict[str, Any]] = {
    "dingtalk": HOOK,
    "discord": HOOK,
    "feishu": HOOK,
    "n8n": HOOK,
    "opsgenie": {"api_key": "k"},
    "pagerduty": {"routing_key": "k"},
    "slack": HOOK,
    "teams": HOOK,
    "telegram": {"bot_token": "1:a", "chat_id": 1},
    "wecom": HOOK,
}
REGISTRY = Registry.load([])
PAGE = "https://aa.example"
LINKS = PageLinks(alert=f"{PAGE}/alerts/1", silence=f"{PAGE}/silences/new", analysis=f"{PAGE}/alerts/1/analysis")


def posted(name: str, message: Message) -> str:
    plugin = REGISTRY.notifiers[name]
    assert isinstance(plugin, HttpNotifier)
    return strings(orjson.loads(plugin.render(plugin.validate_config(SETTINGS[name]), message, NOON).body))


def strings(found: Any) -> str:
    """Every text in a body, one after another."""
    if isinstance(found, dict):
        return "\n".join(map(strings, found.values()))
    return "\n".join(map(strings, found)) if isinstance(found, list) else str(found)


def mailed(message: Message) -> str:
    sender = Address(addr_spec="a@example.org")
    content = compose(message, sender=sender, recipients=[sender], now=NOON.astimezone(UTC))
    mail = message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    parts = [part.get_content() for part in mail.iter_parts() if isinstance(part, EmailMessage)]
    return "\n".join([str(mail["Subject"]), *parts])


def handed_to_apprise(message: Message) -> str:
    return strings(worded_for_apprise(message, Service(title=250, body=4096)))


SAID: dict[str, Callable[[Message], str]] = {
    **{name: partial(posted, name) for name in SETTINGS},
    "apprise": handed_to_apprise,
    "email": mailed,
    "console": readable,
}
WHOLE = sorted(name for name, plugin in REGISTRY.notifiers.items() if plugin.worded is Worded.WHOLE)


def value(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}"


def worded(body: str, title: str = "Our title", **fields: Any) -> Message:
    wording = Wording(title=title, lines=lines_of(body))
    return make_message(make_alert(), **{"wording": wording, "links": LINKS, **fields})


def test_every_plugin_for_people_is_here() -> None:
    assert set(WHOLE) | {"n8n", "pagerduty"} == set(SAID)
    assert [name for name, plugin in REGISTRY.notifiers.items() if plugin.worded is Worded.NOTHING] == ["webhook"]


@pytest.mark.parametrize("name", WHOLE)
def test_the_words_stand_in_place_of_the_layout(name: str) -> None:
    message = worded(f"# Head\n**Where:** {value('bj')}\n- first\n- second\nprose\n[Open]({PAGE}/alerts/1)")

    said = SAID[name](message)

    for text in ("Our title", "Head", "Where", "bj", "first", "second", "prose", "Open", f"{PAGE}/alerts/1"):
        assert text in said, (text, said)
    for text in ("FIRING", "Severity", "Description", "CPU usage", "alertname"):
        assert text not in said, (text, said)


@pytest.mark.parametrize("name", ["n8n", "pagerduty"])
def test_a_plugin_with_no_use_for_a_body_takes_the_title(name: str) -> None:
    said = SAID[name](make_message(make_alert(), wording=Wording(title="Our title")))

    assert "Our title" in said
    assert "[FIRING]" not in said


HOSTILE = [
    "{{ 7*7 }}",
    "@all",
    "@所有人",
    "@everyone",
    "<!channel>",
    "<@U123>",
    "<at id=all></at>",
    "<script>alert(1)</script>",
    "](http://evil)",
    "[x](http://evil)",
    "<http://evil|x>",
    "<a href=http://evil>x</a>",
    "# head",
    "\n# head",
    "**bold**",
    "`code`",
    "\u202etxt",
    "\x1b[31m",
]
# What would do something in the markup of each.
DANGEROUS = {
    "dingtalk": re.compile(r"@|\]\(http://evil|<|^#+ head|\*\*bold|`", re.MULTILINE),
    "feishu": re.compile(r"@|\]\(http://evil|<|^#+ head|\*\*bold|`", re.MULTILINE),
    "wecom": re.compile(r"@|\]\(http://evil|<(?!/?font)|^#+ head|\*\*bold|`", re.MULTILINE),
    "teams": re.compile(r"@|\]\(http://evil|<|^#+ head|\*\*bold|`", re.MULTILINE),
    "discord": re.compile(r"(?<!\\)[@<`]|(?<!\\)\]\(http://evil|^#+ head|(?<!\\)\*\*bold", re.MULTILINE),
    "slack": re.compile(r"<!|<@|<http://evil|<script|\*bold|`"),
    "telegram": re.compile(r"(?<![\w])@|<(script|a href=.?http://evil)"),
    "email": re.compile(r"(?s)<html.*<(script|a href=.?http://evil)"),
    "opsgenie": re.compile(r"[\x1b\u202e]"),
    "apprise": re.compile(r"(?<!\w)@|<[\w!@#/]|\]\("),
    "console": re.compile(r"[\x1b\u202e]"),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_does_nothing_wherever_a_template_puts_it(hostile: str, language: Language, name: str) -> None:
    places = ["{}", "# {}", "- {}", "**{}:** {}", "- **a:** {}", "so {} it", "{}\n{}"]
    if name not in {"feishu", "teams"}:  # where links are buttons, whose words nobody reads as markup
        places.append(f"[{{}}]({PAGE}/x)")
    for place in places:
        message = worded(place.replace("{}", value(hostile)), language=language)

        said = SAID[name](message)

        found = DANGEROUS[name].search(said.replace("https://", ""))
        assert found is None, (place, found, said)
        assert "\u202e" not in said
        assert "\x1b" not in said


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("hostile", ["javascript:alert(1)", "ftp://x/", "//evil", "x", "http://a b/", ""])
def test_only_what_may_be_called_is_a_link(name: str, hostile: str) -> None:
    said = SAID[name](worded(f"before\n[text]({value(hostile)})"))

    assert "javascript" not in said
    assert "ftp:" not in said


@pytest.mark.parametrize("filler", ["x", "告", "😀", "\\", '"', "<", "_", "*", "@"])
@pytest.mark.parametrize("name", sorted(set(WHOLE) - {"console", "email"}))
def test_what_is_cut_keeps_the_link_to_the_alert(name: str, filler: str) -> None:
    lines = (Line(kind=Kind.TEXT, text=filler * 300),) * 400
    message = make_message(make_alert(), wording=Wording(title="t", lines=lines), links=LINKS)
    limit = REGISTRY.notifiers[name].limits.max_bytes

    said = SAID[name](message)

    assert f"{PAGE}/alerts/1" in said
    assert "shortened" in said
    assert limit is None or len(said.encode()) <= limit
    assert len(said) > 1_000


@pytest.mark.parametrize("name", WHOLE)
def test_a_template_of_links_alone_is_still_a_message(name: str) -> None:
    said = SAID[name](worded(f"[Open]({PAGE}/alerts/1)"))

    assert f"{PAGE}/alerts/1" in said


ZH, EN = ("告警", "查看告警"), ("FIRING", "Alert")


@pytest.mark.parametrize(("language", "words", "others"), [(Language.ZH, ZH, EN), (Language.EN, EN, ZH)])
@pytest.mark.parametrize("name", sorted(set(SAID) - {"n8n", "console"}))
def test_every_layout_speaks_both_languages(
    name: str, language: Language, words: tuple[str, ...], others: tuple[str, ...]
) -> None:
    message = make_message(make_alert("Disk", severity="x"), content="", language=language, links=LINKS)

    said = SAID[name](message)

    assert all(word in said for word in words), said
    assert not any(word in said.replace("AlertAgent", "") for word in others), said
