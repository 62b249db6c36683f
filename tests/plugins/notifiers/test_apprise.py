import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid, Permanent, Problem
from alertagent.kernel.language import Language
from alertagent.kernel.message import PageLinks
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers import apprise_process
from alertagent.plugins.notifiers.apprise import MAX_PROCESSES, Apprise, AppriseConfig, Service, judged, worded
from alertagent.plugins.notifiers.apprise_services import PLUGINS, SERVICES
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import HttpResponse, Transport, Unanswered, Unreachable
from tests.support.messages import NOON, make_alert, make_chinese, make_hostile, make_message
from tests.support.names import Names
from tests.support.sink import Answer, Sink

PLUGIN = Apprise()
TOKEN = "AsecretToken123"
A, B = "a" * 32, "b" * 32
UUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
NUMBER, OTHER = "15551231234", "15551231236"


def configured(url: str) -> AppriseConfig:
    return PLUGIN.validate_config({"url": url})


def gotify(sink: Sink) -> AppriseConfig:
    return configured(f"gotify://127.0.0.1:{sink.port}/{TOKEN}")


async def test_a_message_is_delivered(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(body=b'{"id": 7}'))

    outcome = await PLUGIN.send(gotify(sink), make_message(), transport, now=NOON)

    assert outcome == Delivered(code="http.200", text='{"id": 7}')
    [request] = sink.requests
    assert (request.method, request.target, request.headers["X-Gotify-Key"]) == ("POST", "/message", TOKEN)
    assert request.headers["User-Agent"].startswith("AlertAgent/")
    body = json.loads(request.body)
    assert body["title"] == "[FIRING] HighCPU"
    assert "CPU usage is over 90%" in body["message"]
    assert "Alert: https://alertagent.example" in body["message"]


REFUSALS: list[tuple[Answer, Outcome]] = [
    (Answer(status=401, body=b"who?"), Refused(code="http.401", text="who?")),
    (Answer(status=503, body=b"busy"), RetryAfter(code="http.503", text="busy")),
    (
        Answer(status=429, body=b"slow", headers={"Retry-After": "7"}),
        RetryAfter(after=timedelta(seconds=7), code="http.429", text="slow"),
    ),
]


@pytest.mark.parametrize(("answer", "outcome"), REFUSALS, ids=lambda value: type(value).__name__)
async def test_a_refusal_is_told_in_the_providers_words(
    answer: Answer, outcome: Outcome, sink: Sink, transport: Transport
) -> None:
    sink.answer_next(answer)

    assert await PLUGIN.send(gotify(sink), make_message(), transport, now=NOON) == outcome


@pytest.mark.parametrize("fault", ["hang", "hang_up", "break_off"])
async def test_without_a_whole_answer_nobody_knows(fault: Any, sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(fault=fault))

    outcome = await PLUGIN.send(gotify(sink), make_message(), transport, now=NOON)

    assert isinstance(outcome, Ambiguous)
    assert len(sink.requests) == 1


async def test_who_is_not_there_is_tried_again(sink: Sink, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(f"gotify://127.0.0.1:1/{TOKEN}"), make_message(), transport, now=NOON)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "outgoing.unreachable"


@pytest.mark.parametrize("query", ["", "?redirect=yes&retry=3&optional=yes&overflow=split"])
async def test_no_redirect_is_followed_whatever_the_url_asks_for(query: str, sink: Sink, transport: Transport) -> None:
    sink.answer_always(Answer(status=307, headers={"Location": f"{sink.origin}/elsewhere"}))
    config = configured(f"gotify://127.0.0.1:{sink.port}/{TOKEN}{query}")

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert [request.target for request in sink.requests] == ["/message"]


async def test_what_waits_for_a_place_is_delivered_too(sink: Sink, transport: Transport) -> None:
    sends = [PLUGIN.send(gotify(sink), make_message(), transport, now=NOON) for _ in range(2 * MAX_PROCESSES)]

    outcomes = await asyncio.gather(*sends)

    assert outcomes == [Delivered(code="http.200", text="ok")] * len(sends)
    assert len(sink.requests) == len(sends)


async def test_an_attempt_has_an_end(sink: Sink, transport: Transport) -> None:
    plugin = Apprise(patience=timedelta(milliseconds=1))

    outcome = await plugin.send(gotify(sink), make_message(), transport, now=NOON)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "apprise.nothing_sent"
    assert sink.requests == []


async def test_an_attempt_that_ends_while_it_is_answered_may_have_arrived(sink: Sink) -> None:
    sink.answer_next(Answer(fault="hang"))
    async with Transport(AddressGuard(["127.0.0.0/8"]), timeout=timedelta(minutes=1)) as patient:
        outcome = await Apprise(patience=timedelta(seconds=10)).send(gotify(sink), make_message(), patient, now=NOON)

    assert outcome == Ambiguous(code="outgoing.unanswered", text="it was not answered in time")
    assert len(sink.requests) == 1


def answer(status: int, body: bytes = b"said") -> HttpResponse:
    return HttpResponse(status=status, headers={}, body=body)


NOTHING_SENT = RetryAfter(
    code="apprise.nothing_sent",
    text="apprise sent nothing: it ended, or found no place among the 4 that run at once",
)
LOST, NOWHERE = Unanswered("no answer"), Unreachable("no way")
VERDICTS: list[tuple[bool | None, Sequence[HttpResponse | Problem], Outcome]] = [
    (True, [], NOTHING_SENT),
    (None, [], NOTHING_SENT),
    (True, [answer(200), answer(204, b"")], Delivered(code="http.204", text="")),
    (True, [LOST, answer(200)], Delivered(code="http.200", text="said")),
    (False, [answer(200)], RetryAfter(code="http.200", text="apprise takes this for a refusal: said")),
    (None, [answer(200)], Ambiguous(code="http.200", text="apprise ended before it had read the answer: said")),
    (None, [answer(500)], RetryAfter(code="http.500", text="said")),
    (False, [answer(200), answer(403)], Refused(code="http.403", text="said")),
    (False, [LOST, answer(403)], Ambiguous(code="outgoing.unanswered", text="no answer")),
    (False, [answer(200), NOWHERE], RetryAfter(code="outgoing.unreachable", text="no way")),
    (False, [Permanent("no", code="outgoing.forbidden")], Refused(code="outgoing.forbidden", text="no")),
]


@pytest.mark.parametrize(("verdict", "answers", "outcome"), VERDICTS)
def test_what_was_answered_says_more_than_apprise(
    verdict: bool | None, answers: Sequence[HttpResponse | Problem], outcome: Outcome
) -> None:
    assert judged(verdict, answers) == outcome


HOSTED = {
    f"betterstack://{A}/oncall@example.org": "incidents.betterstack.com",
    f"brevo://xkeysib-{A}:me@example.org/you@example.org": "api.brevo.com",
    f"bulksms://id:{A}@{NUMBER}": "api.bulksms.com",
    f"clicksend://user:{A}@{NUMBER}": "rest.clicksend.com",
    f"cliq://1001.{A}.{B}/channel": "cliq.zoho.com",
    f"d7sms://{A}@{NUMBER}": "api.d7networks.com",
    f"firehydrant://{A}": "signals.firehydrant.com",
    f"flock://{'a' * 24}": "api.flock.com",
    f"gchat://workspace/{A}/{B}": "chat.googleapis.com",
    f"ifttt://{A}/event": "maker.ifttt.com",
    f"ilert://{A}": "api.ilert.com",
    f"incidentio://source/{A}": "api.incident.io",
    f"line://{A}/Ubbbbbbbb": "api.line.me",
    "mailgun://me@example.org/aaaaaaaa-bbbbbbbb-cccccccc/you@example.org": "api.mailgun.net",
    f"msgbird://{'a' * 25}/{NUMBER}/{OTHER}": "rest.messagebird.com",
    "notica://zzzzzz": "notica.us",
    "pagertree://int_aaaaaaaaaa": "api.pagertree.com",
    f"pbul://{A}": "api.pushbullet.com",
    f"postmark://{A}:me@example.org/you@example.org": "api.postmarkapp.com",
    f"pover://{'u' * 30}@{'a' * 30}": "api.pushover.net",
    f"prowl://{'a' * 40}": "api.prowlapp.com",
    "psafers://aaaaaaaaaaaaaaaaaaaa": "www.pushsafer.com",
    f"pushplus://{A}": "www.pushplus.plus",
    f"pushy://{A}/@topic": "api.pushy.me",
    f"qq://{A}": "qmsg.zendee.cn",
    f"resend://{A}:me@example.org/you@example.org": "api.resend.com",
    f"revolt://{A}/channel": "api.revolt.chat",
    "ryver://example/aaaaaaaaaaaaaaa": "example.ryver.com",
    "schan://SCTaaaaaaaaaaaaaaaaaaaaaaaaaa": "sctapi.ftqq.com",
    f"sendgrid://{A}:me@example.org/you@example.org": "api.sendgrid.com",
    f"seven://{'a' * 25}/{NUMBER}": "gateway.seven.io",
    "signl4://aaaaaaaaaaaaaa": "connect.signl4.com",
    f"sinch://{A}:{B}@{NUMBER}/{OTHER}": "us.sms.api.sinch.com",
    f"smtp2go://me@example.org/{A}/you@example.org": "api.smtp2go.com",
    f"sparkpost://me@example.org/{A}/you@example.org": "api.sparkpost.com",
    f"spike://{A}": "api.spike.sh",
    f"splunk://routing@{UUID}": "alert.victorops.com",
    f"spugpush://{A}": "push.spug.dev",
    "spush://aaaaaaaaaaaaaa": "api.simplepu.sh",
    "squadcast://aaaaaaaaaaaaaaaaaaaa": "api.squadcast.com",
    f"telnyx://KEY{A}_b@{NUMBER}/{OTHER}": "api.telnyx.com",
    f"twilio://AC{A}:{B}@{NUMBER}/{OTHER}": "api.twilio.com",
    "viber://aaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb/user==": "chatapi.viber.com",
    f"vonage://aaaaaaaa:{'b' * 16}@{NUMBER}/{OTHER}": "rest.nexmo.com",
    f"webex://{'a' * 80}": "api.ciscospark.com",
    f"wxpusher://AT_{A}/UID_{'b' * 28}": "wxpusher.zjiecode.com",
    f"zoom://{'a' * 22}/{'b' * 22}": "inbots.zoom.us",
    f"zulip://bot-name@example/{A}/channel": "example.zulipchat.com",
}
OWN = {
    "bark": "{host}/" + A,
    "gotify": "{host}/" + A,
    "hassio": "{host}/" + A,
    "mmost": "{host}/" + "a" * 24,
    "nctalk": "user:pass@{host}/room",
    "ntfy": "{host}/topic",
    "pushdeer": "{host}/" + A,
    "rocket": f"{'a' * 16}/{'b' * 48}@{{host}}/%23channel",
    "signal": f"{{host}}/{NUMBER}/{OTHER}",
    "synology": "{host}/" + A,
}


def test_every_service_is_tried_here() -> None:
    tried = {url.partition("://")[0] for url in HOSTED} | set(OWN) | {f"{schema}s" for schema in OWN}

    assert tried == set(SERVICES)
    assert not set(SERVICES) & set(PLUGINS)


def test_the_page_names_every_service() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/apprise.md").read_text()

    assert [url for url in HOSTED if f"`{url.partition('://')[0]}`" not in page] == []
    assert [schema for schema in OWN if f"`{schema}`" not in page] == []


@pytest.mark.parametrize("url", HOSTED)
async def test_a_service_calls_the_host_of_its_provider(url: str) -> None:
    guard = AddressGuard(resolver=Names(**{HOSTED[url]: ["10.0.0.1"]}))

    with pytest.raises(Invalid, match=f"^{HOSTED[url]} leads to an address that is not public"):
        await PLUGIN.check_config(configured(url), guard)


@pytest.mark.parametrize("schema", OWN)
async def test_a_server_of_ones_own_is_told(schema: str, sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(headers={"X-Odd": "\udcff"}))
    config = configured(f"{schema}://{OWN[schema].format(host=f'127.0.0.1:{sink.port}')}")

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Delivered)
    [request] = sink.requests
    assert b"HighCPU" in request.body


@pytest.mark.parametrize("schema", ["gotify", "gotifys"])
@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "metadata.example"])
async def test_a_private_server_is_refused_where_its_network_is_not_allowed(schema: str, host: str) -> None:
    guard = AddressGuard(resolver=Names(metadata_example=["169.254.169.254"]))

    with pytest.raises(Invalid) as caught:
        await PLUGIN.check_config(configured(f"{schema}://{host}/{TOKEN}"), guard)

    assert host in caught.value.message
    assert TOKEN not in caught.value.message
    assert caught.value.details[0].loc == ("url",)


async def test_an_allowed_server_passes_the_check_and_is_not_called(sink: Sink) -> None:
    await PLUGIN.check_config(gotify(sink), AddressGuard(["127.0.0.0/8"]))

    assert sink.requests == []


async def test_a_private_server_is_called_by_no_message_either(sink: Sink) -> None:
    async with Transport(AddressGuard()) as transport:
        outcome = await PLUGIN.send(gotify(sink), make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "outgoing.forbidden"
    assert sink.requests == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tgram://123:SECRET/1", "tgram:// has a plugin of its own here, telegram"),
        ("mailto://user:SECRET@example.org", "mailto:// has a plugin of its own here, email"),
        ("file:///etc/SECRET", "file:// is not available here; these are: bark, "),
        ("syslog://SECRET", "syslog:// is not available here"),
        ("https://hooks.example.org/SECRET", "https:// is not available here"),
        ("SECRET", "this is no URL of apprise"),
        ("", "this is no URL of apprise"),
        ("SECRET" * 400, "at most 2048"),
    ],
)
def test_other_services_are_refused(url: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        configured(url)

    assert said in caught.value.message
    assert "SECRET" not in str(caught.value.details) + caught.value.message


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("pover://SECRET", "apprise does not understand this pover:// URL; it looks like pover://{user_key}@{token}"),
        ("ntfy://ntfy.sh/SECRET/other", "make a channel for each of them"),
    ],
)
async def test_a_url_that_apprise_cannot_use_is_refused(url: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        await PLUGIN.check_config(configured(url), AddressGuard())

    assert said in caught.value.message
    assert "SECRET" not in str(caught.value.details) + caught.value.message


async def test_the_url_is_shown_nowhere(sink: Sink, transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = gotify(sink)
    sink.answer_next(Answer(status=500, body=b"broken"))

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)
    health = await PLUGIN.health_check(config, transport)
    nowhere = await PLUGIN.send(configured(f"gotify://127.0.0.1:1/{TOKEN}"), make_message(), transport, now=NOON)

    masked = PLUGIN.mask_config({"url": config.url.get_secret_value()})
    assert masked == {"url": "***"}
    assert PLUGIN.merge_config(masked, {"url": "pover://stored"}) == {"url": "pover://stored"}
    said = [outcome, health, nowhere, config, PLUGIN.place(config), PLUGIN.circuit(config), caplog.text]
    assert TOKEN not in "\n".join(map(str, said))


async def test_health_is_the_host_and_posts_nothing(sink: Sink, transport: Transport) -> None:
    assert (await PLUGIN.health_check(gotify(sink), transport)).healthy
    assert [(request.method, request.target) for request in sink.requests] == [("HEAD", "/")]

    away = await PLUGIN.health_check(configured(f"gotify://127.0.0.1:1/{TOKEN}"), transport)
    assert (away.healthy, "127.0.0.1:1 could not be reached" in away.text) == (False, True)


async def test_without_apprise_it_says_how_to_get_it(sink: Sink, transport: Transport) -> None:
    absent = Apprise("no_such_package_here")
    how = "pip install 'alertagent[apprise]'"

    with pytest.raises(Invalid, match="is not installed") as caught:
        await absent.check_config(gotify(sink), AddressGuard(["127.0.0.0/8"]))
    outcome = await absent.send(gotify(sink), make_message(), transport, now=NOON)
    health = await absent.health_check(gotify(sink), transport)

    assert how in caught.value.message
    assert isinstance(outcome, RetryAfter)
    assert how in outcome.text
    assert how in health.text


def test_nothing_of_apprise_is_in_the_server() -> None:
    program = """
import sys
from alertagent.plugins.registry import Registry
assert "apprise" in Registry.load([]).notifiers
assert not {"apprise", "requests", "urllib3"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_the_process_opens_no_connection() -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"mailto://user:pass@127.0.0.1:{port}?from=a@example.org&to=b@example.org&smtp=127.0.0.1"
        message = {"title": "t", "body": "b", "notify_type": "info"}
        content = [json.dumps(frame).encode() for frame in ({"service": "email.NotifyEmail", "url": url}, message)]
        frames = b"".join(apprise_process.HEAD.pack(len(frame)) + frame for frame in content)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            apprise_process.__file__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await process.communicate(frames)

    assert b'"targets": 1' in said
    assert said.endswith(b'{"delivered": false}')
    assert connections == 0


@pytest.mark.parametrize(
    ("severity", "status", "type"),
    [
        ("critical", "firing", "failure"),
        ("?", "firing", "failure"),
        ("warning", "firing", "warning"),
        ("info", "firing", "info"),
        ("critical", "resolved", "success"),
    ],
)
def test_a_severity_becomes_a_type(severity: str, status: str, type: str) -> None:
    message = make_message(make_alert(status=status, ends_at=NOON), severity=severity)

    assert worded(message, Service(title=250, body=1000))["notify_type"] == type


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\x00", "😀", "\ud800", "@", "<"])
@pytest.mark.parametrize(
    "service", [Service(title=0, body=160), Service(title=60, body=400), Service(title=250, body=5000)]
)
def test_nothing_exceeds_a_limit(service: Service, filler: str) -> None:
    said = worded(make_hostile(200, filler), service)

    assert len(said["title"]) <= (service.title or 100)
    assert 0 < len(said["body"]) <= service.body
    assert service.title or len(said["title"]) + 2 + len(said["body"]) <= service.body


def test_a_short_message_keeps_its_link() -> None:
    said = worded(make_message(links=PageLinks(alert="https://a.example/alerts/1")), Service(title=0, body=160))

    assert "Alert: https://a.example/alerts/1" in said["body"]


def test_readers_of_chinese_are_told_in_chinese() -> None:
    said = worded(make_chinese(), Service(title=250, body=5000))

    assert said["title"] == "【告警】HighCPU"
    assert "查看告警: https://alertagent.example" in said["body"]
    assert make_chinese().language is Language.ZH
