"""A corpus of bad requests against every route: a 4xx of the right type that names the place, never a 5xx."""

import asyncio
import gzip
import io
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from tests.support.service import ADMIN_TOKEN, Answer, Api

TYPES = {
    400: "validation",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition",
    413: "too_large",
    415: "unsupported_media",
}
PARTS = {"type", "code", "message", "details"}
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Case:
    """`path` is a prepared one, sent as it stands; `names` must stand somewhere in the error."""

    name: str
    method: str = "POST"
    path: str
    status: int = 400
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    names: str = ""


LISTS = (
    "/rules",
    "/clusters",
    "/tokens",
    "/alerts",
    "/channels",
    "/analyzers",
    "/deliveries",
    "/heartbeats",
    "/templates",
    "/silences",
    "/tasks",
    "/config/history",
)
QUERIES = {
    "limit=0": "limit",
    "limit=-1": "limit",
    "limit=501": "limit",
    "limit=abc": "limit",
    "limit=": "limit",
    "limit=1.5": "limit",
    "limit=1e2": "limit",
    f"limit={'9' * 5000}": "limit",
    "limit=1&limit=2": "limit",
    "limit[]=1": "limit",
    "LIMIT=1": "LIMIT",
    "limt=1": 'Did you mean \\"limit\\"',
    "offset=1": "offset",
    "=1": "parameter",
    "sort=nothing": "sort",
    "sort=-": "sort",
    "sort=,": "sort",
    "sort=id,": "sort",
    "sort=t.id": "sort",
    "sort=id%20desc": "sort",
    "sort=id;DROP%20TABLE%20rules": "sort",
    f"sort={'id,' * 100}id": "sort",
    "cursor=x": "cursor",
    "cursor=": "cursor",
    "cursor=%F0%9F%94%A5": "cursor",
    "cursor=W10": "cursor",
    "cursor=bnVsbA": "cursor",
    f"cursor={'A' * 3000}": "cursor",
    "filter=": "filter",
    "filter=id": "filter",
    "filter=id%3D%22": "filter",
    "filter=id%3D~%22(%22": "regular expression",
    "filter=id%3D~%22a(%3F%3Db)%22": "regular expression",
    "filter=id%3D~%22(a)%5C1%22": "regular expression",
    "filter=id%3D~%22a%7B1001%7D%22": "regular expression",
    f"filter=id%3D~%22{'a' * 1100}%22": "longer than 1024",
    f"filter=id%3D%22{'a' * 2100}%22": "filter",
    "&".join(["filter=id%3Dx"] * 21): "filter",
    "q=%00": "NUL",
    "filter=id%3D%22%00%22": "NUL",
    "q%00=1": "NUL",
    f"q={'a' * 201}": "q",
    "q=a&q=b": "q",
}

BODIES: dict[str, bytes] = {
    "no body": b"",
    "blanks": b" \r\n\t",
    "null": b"null",
    "a number": b"5",
    "a text": b'"text"',
    "true": b"true",
    "a list": b"[]",
    "not JSON": b"name=HostDown",
    "half an object": b'{"name": "a"',
    "two objects": b"{}{}",
    "a trailing comma": b'{"name": "a",}',
    "single quotes": b"{'name': 'a'}",
    "a comment": b'{} // "x"',
    "a raw NUL": b'{"name": "a\x00b"}',
    "an escaped NUL": b'{"name": "a\\u0000b"}',
    "an escaped NUL in a key": b'{"na\\u0000me": "a"}',
    "a raw newline in a text": b'{"name": "a\nb"}',
    "a lone surrogate": b'{"name": "a\\ud800b"}',
    "a pair of surrogates the wrong way round": b'{"name": "\\udc00\\ud800"}',
    "bytes that are no UTF-8": b'{"name": "\xff\xfe"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "an overlong encoding": b'{"name": "\xc0\xaf"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "a huge number": b'{"name": 1e999}',
    "a huge integer": b'{"name": ' + b"9" * 5000 + b"}",
    "deep lists": b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "deep and unfinished": b"[" * 100_000,
    "an unknown field": b'{"surprise": 1}',
    "a field with an empty name": b'{"": 1}',
    "a field of the wrong case": b'{"Name": "a"}',
    "a prototype": b'{"__proto__": {"admin": true}}',
    "many unknown fields": json.dumps({f"unknown{number}": 1 for number in range(20_000)}).encode(),
    "a long unknown field": json.dumps({"x" * 500_000: 1}).encode(),
    "YAML": b"name: a\n",
    "XML": b"<name>a</name>",
}

WRITES = [
    ("POST", "/rules"),
    ("PUT", "/rules/none"),
    ("POST", "/rules/validate"),
    ("POST", "/rules/batch"),
    ("POST", "/rules/none/rollback"),
    ("POST", "/clusters"),
    ("PUT", "/clusters/c1"),
    ("POST", "/clusters/c1/tokens"),
    ("POST", "/tokens"),
    ("POST", "/channels"),
    ("PUT", "/channels/none"),
    ("PUT", "/plugins/console"),
    ("POST", "/plugins/console/test"),
    ("POST", "/analyzers"),
    ("PUT", "/analyzers/none"),
    ("PUT", "/analysis/policy"),
    ("POST", "/analysis/callbacks/none"),
    ("POST", "/alerts/none/feedback"),
    ("POST", "/config/sync/status"),
    ("PUT", "/escalation"),
    ("POST", "/heartbeats"),
    ("PUT", "/heartbeats/none"),
    ("POST", "/templates"),
    ("PUT", "/templates/none"),
    ("POST", "/templates/preview"),
    ("POST", "/silences"),
    ("POST", "/silences/preview"),
    ("PUT", "/silences/none"),
    ("POST", "/alerts/none/ack"),
    ("POST", "/alerts/none/assign"),
    ("POST", "/alerts/none/comment"),
    ("POST", "/alerts/bulk"),
    ("PUT", "/clusters/c1/alertmanager-config"),
    ("POST", "/clusters/c1/alertmanager-config/rollback"),
    ("POST", "/routing/explain"),
    ("POST", "/routing/rollback"),
    ("POST", "/queues/notification/dead/requeue"),
    ("POST", "/queues/notification/dead/purge"),
]
# Every field of these may be left out, so nothing at all is a request.
TAKES_NOTHING = {
    "/rules/none": 404,
    "/clusters/c1": 200,
    "/clusters/c1/tokens": 201,
    "/channels/none": 404,
    "/analyzers/none": 404,
    "/analysis/policy": 200,
    "/analysis/callbacks/none": 401,
    "/plugins/console/test": 200,
    "/alerts/none/ack": 404,
    "/heartbeats/none": 404,
    "/templates/none": 404,
    "/templates/preview": 200,
    "/silences/none": 404,
}

ADOPT = "/config/adopt?cluster_id=c1&type=prometheus"

# Who posts there expects Alertmanager's form of a 400: a bare text.
ALERTMANAGERS = "//api/v2/alerts"
INTAKES = ("/alerts/webhook", ALERTMANAGERS)

ADDRESSED = [
    "/rules/{}",
    "/rules/{}/distribution",
    "/rules/{}/versions",
    "/rules/{}/versions/v1.0.0",
    "/rules/none/versions/{}",
    "/rules/{}/diff",
    "/clusters/{}",
    "/clusters/{}/alertmanager-config",
    "/clusters/c1/alertmanager-config/versions/{}",
    "/routing/versions/{}",
    "/alerts/{}",
    "/alerts/{}/timeline",
    "/channels/{}",
    "/analyzers/{}",
    "/channels/{}/deliveries",
    "/plugins/{}",
    "/templates/{}",
    "/silences/{}",
    "/tasks/{}",
    "/queues/{}",
    "/queues/{}/dead",
]
IDS = {
    "none": 404,
    "%00": 400,
    "a%00b": 400,
    "%ff": 404,
    "%ED%A0%80": 404,
    "%zz": 404,
    "%": 404,
    "'%20OR%20'1'='1": 404,
    "..%2f..%2fetc%2fpasswd": 404,
    "%F0%9F%94%A5": 404,
    "-1": 404,
    "null": 404,
    "a" * 4000: 404,
}

RULE = {"name": "HostDown", "expression": "up == 0"}
REPORT = {"cluster_id": "c1", "config_type": "prometheus", "status": "success", "sync_time": 0, "error_message": ""}
CHANNEL = {"name": "c", "plugin_name": "webhook", "config": {"url": "http://127.0.0.1:1/"}}
ANALYZER: dict[str, Any] = {
    "name": "a",
    "provider": "openai",
    "config": {"base_url": "http://127.0.0.1:1/v1", "api_key": "k", "model": "m"},
}
ALERT = {"labels": {"alertname": "A"}, "status": "firing"}
TEMPLATE = {"name": "t", "texts": {"en": {"body": "x"}}}
SILENCE = {"matchers": ['alertname="A"'], "duration": "1h", "comment": "c"}
NIGHTLY = {"rrule": "FREQ=DAILY", "timezone": "UTC", "duration": "1h"}
HEARTBEAT: dict[str, Any] = {"name": "h", "matchers": ['alertname="Watchdog"'], "interval": "5m"}
STEP: dict[str, Any] = {"matchers": ['severity="critical"'], "after": "5m", "channels": ["c"]}
WEBHOOK = {"version": "4", "status": "firing", "alerts": []}

OPERATIONS: list[tuple[Any, str]] = [
    ([], "operations"),
    ({}, "operations"),
    ([None], "operations"),
    ([[]], "operations"),
    ([{"op": 5}], '"loc": ["operations", 0, "op"]'),
    ([{"op": "x" * 500_000}], "'create', 'update', 'delete'"),
    ([{}], '"loc": ["operations", 0, "op"]'),
    ([{"op": "create"}], "name"),
    ([{"op": "update"}], "id"),
    ([{"op": "update", "id": ""}], "id"),
    ([{"op": "delete", "id": "x" * 201}], "id"),
    ([{"op": "delete", "id": "x", "if_version": "v1"}], "if_version"),
    ([{"op": "delete", "id": "x"}] * 2, "operations.1"),
    ([{"op": "create", **RULE, "labels": {"a": 1}}], "labels"),
    ([{"op": "delete", "id": "x"}] * 10_001, "operations"),
]

RECURRENCES: list[tuple[Any, str]] = [
    ({"rrule": ""}, "rrule"),
    ({"rrule": 5}, "rrule"),
    ({"rrule": "FREQ=SECONDLY"}, "rrule"),
    ({"rrule": "FREQ=DAILY;" * 50}, "rrule"),
    ({"rrule": f"FREQ=DAILY;INTERVAL={'9' * 400}"}, "rrule"),
    ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule"),
    ({"timezone": ""}, "timezone"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"timezone": "Asia"}, "timezone"),
    ({"timezone": None}, "timezone"),
    ({"duration": "0"}, "duration"),
    ({"duration": "32d"}, "duration"),
    ({"duration": 7200}, "duration"),
    ({"dtstart": "2026-01-01"}, "dtstart"),
    ({"current": None}, "current"),
]

STEPS: list[tuple[dict[str, Any], str]] = [
    ({"matchers": []}, "rules.0.matchers"),
    ({"matchers": ["a"]}, "rules.0.matchers"),
    ({"matchers": "a=b"}, "rules.0.matchers"),
    ({"after": "59s"}, "greater than or equal to 1m"),
    ({"after": "8d"}, "less than or equal to 1w"),
    ({"after": 300}, "rules.0.after"),
    ({"channels": []}, "rules.0.channels"),
    ({"channels": [5]}, "rules.0.channels.0"),
    ({"channels": ["nobody"]}, "nobody"),
    ({"chanels": []}, "chanels"),
]

# What is wrong with an otherwise good body, and what the answer must name.
FIELDS: list[tuple[str, str, Any, Any, str]] = [
    *(
        ("POST", "/rules", RULE, change, name)
        for change, name in [
            ({"name": ""}, "name"),
            ({"name": 5}, "name"),
            ({"name": None}, "name"),
            ({"name": "x" * 501}, "name"),
            ({"expression": ""}, "expression"),
            ({"expression": "up =="}, "expression"),
            ({"expression": "sum("}, "expression"),
            ({"expression": "up" + "\n" * 70_000}, "expression"),
            ({"expression": "((" * 2000}, "expression"),
            ({"expression": '"text"'}, "expression"),
            ({"expression": "up[5m]"}, "expression"),
            ({"duration": 90}, "duration"),
            ({"duration": "90"}, "duration"),
            ({"duration": "1.5h"}, "duration"),
            ({"duration": "-5m"}, "duration"),
            ({"duration": "12h1d"}, "duration"),
            ({"duration": None}, "duration"),
            ({"duration": "9" * 5000 + "s"}, "duration"),
            ({"interval": "x"}, "interval"),
            ({"keep_firing_for": 1}, "keep_firing_for"),
            ({"severity": ""}, "severity"),
            ({"severity": 1}, "severity"),
            ({"labels": []}, "labels"),
            ({"labels": {"a": 1}}, "labels"),
            ({"labels": {"a": None}}, "labels"),
            ({"labels": {"a\nb": "x"}}, "labels"),
            ({"labels": {"": "x"}}, "labels"),
            ({"labels": {"__name__": "x"}}, "labels"),
            ({"labels": {f"l{n}": "x" for n in range(101)}}, "labels"),
            ({"annotations": {"a": {}}}, "annotations"),
            ({"annotations": {"summary": "{{ $labels.x "}}, "annotations"),
            ({"targets": "c1"}, "targets"),
            ({"targets": [1]}, "targets"),
            ({"targets": [""]}, "targets"),
            ({"targets": ['env="prod']}, "targets"),
            ({"targets": ['env=~"("']}, "targets"),
            ({"targets": ["c1"] * 1001}, "targets"),
            ({"kind": "other"}, "kind"),
            ({"kind": "recording"}, "record"),
            ({"dialect": "sql"}, "dialect"),
            ({"enabled": "maybe"}, "enabled"),
            ({"enabled": None}, "enabled"),
            ({"comment": "x" * 1001}, "comment"),
            ({"expresion": "up"}, 'Did you mean \\"expression\\"'),
            ({"id": "mine"}, "id"),
            ({"version": "v1.0.0"}, "version"),
        ]
    ),
    *(
        ("POST", "/silences", SILENCE, change, name)
        for change, name in [
            ({"matchers": []}, "matchers"),
            ({"matchers": None}, "matchers"),
            ({"matchers": 'alertname="A"'}, "matchers"),
            ({"matchers": {"alertname": "A"}}, "matchers"),
            ({"matchers": [5]}, "matchers"),
            ({"matchers": [""]}, "matchers"),
            ({"matchers": [{}]}, '"message": "matchers.0.name: Field required'),
            ({"matchers": ["a"]}, '"message": "matchers.0: not a matcher'),
            ({"matchers": [[]]}, '"message": "matchers.0: write it as severity='),
            ({"matchers": [{"name": "", "value": "x"}]}, "name"),
            ({"matchers": [{"name": "a", "value": 5}]}, "value"),
            ({"matchers": [{"name": "a", "value": "x", "is_regex": True}]}, "is_regex"),
            ({"matchers": [{"name": "a", "value": "a(?=b)", "isRegex": True}]}, "regular expression"),
            ({"matchers": ['a=~"(a)\\\\1"']}, "regular expression"),
            ({"matchers": [f'a=~"{"x" * 17_000}"']}, "16384"),
            ({"matchers": ['a="b"'] * 101}, "matchers"),
            ({"matchers": ['a=""']}, "empty string"),
            ({"matchers": ['a!="b"']}, "mute_all"),
            ({"starts_at": 5}, "starts_at"),
            ({"starts_at": "now"}, "starts_at"),
            ({"starts_at": "2026-01-01"}, "starts_at"),
            ({"starts_at": "2026-01-01T00:00:00"}, "starts_at"),
            ({"starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at"),
            ({"starts_at": "9999-12-31T23:59:59-14:00"}, "starts_at"),
            ({"starts_at": "2099-12-31T23:59:59Z"}, "ends_at"),
            ({"ends_at": "2050-01-01T00:00:00Z"}, "duration"),
            ({"duration": None}, "ends_at"),
            ({"duration": "0"}, "duration"),
            ({"duration": 3600}, "duration"),
            ({"duration": "-1h"}, "duration"),
            ({"duration": "292y"}, "ends_at"),
            ({"comment": ""}, "comment"),
            ({"comment": " \n"}, "comment"),
            ({"comment": None}, "comment"),
            ({"comment": "x" * 2001}, "comment"),
            ({"created_by": ""}, "created_by"),
            ({"created_by": 5}, "created_by"),
            *(({"recurrence": {**NIGHTLY, **change}}, name) for change, name in RECURRENCES),
            ({"recurrence": []}, "recurrence"),
            ({"recurrence": {}}, "rrule"),
            ({"mute_all": None}, "mute_all"),
            ({"state": "expired"}, "state"),
        ]
    ),
    *(
        ("POST", "/templates", TEMPLATE, change, name)
        for change, name in [
            ({"name": None}, "name"),
            ({"name": 5}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"texts": None}, "texts"),
            ({"texts": []}, "texts"),
            ({"texts": {}}, "texts"),
            ({"texts": {"en": None}}, "texts"),
            ({"texts": {"en": "x"}}, "en"),
            ({"texts": {"zh": {"body": "x"}}}, "zh"),
            ({"texts": {"EN": {"body": "x"}}}, "EN"),
            ({"texts": {"en": {"text": "x"}}}, "text"),
            ({"texts": {"en": {"body": 5}}}, "body"),
            ({"texts": {"en": {"body": "{{"}}}, "body"),
            ({"texts": {"en": {"body": "{{ a\ud800 }}"}}}, "JSON"),
            ({"texts": {"en": {"body": "{% if 1 %}" * 200}}}, "body"),
            ({"texts": {"en": {"body": "{{ " + "-" * 60_000 + "1 }}"}}}, "body"),
            ({"texts": {"en": {"title": "x", "body": "{{ x }}"}}}, "body"),
        ]
    ),
    *(
        ("POST", "/clusters", {"id": "new"}, change, name)
        for change, name in [
            ({"id": ""}, "id"),
            ({"id": "-a"}, "id"),
            ({"id": "a b"}, "id"),
            ({"id": "a/b"}, "id"),
            ({"id": "a\n"}, "id"),
            ({"id": "x" * 101}, "id"),
            ({"id": "é"}, "id"),
            ({"id": 5}, "id"),
            ({"id": ".."}, "id"),
            ({"name": ""}, "name"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"labels": {"a-b": "x"}}, "labels"),
            ({"labels": {"é": "x"}}, "labels"),
            ({"labels": {"a": 1}}, "labels"),
            ({"labels": {f"l{n}": "x" for n in range(65)}}, "labels"),
            ({"labels": {"a": "x" * 4097}}, "labels"),
            ({"parameters": {"a b": "x"}}, "parameters"),
            ({"parameters": None}, "parameters"),
            ({"config_types": []}, "config_types"),
            ({"config_types": ["grafana"]}, "config_types"),
            ({"config_types": "prometheus"}, "config_types"),
            ({"config_types": ["vmalert"] * 4}, "config_types"),
            ({"query_url": ""}, "query_url"),
            ({"query_url": "prometheus:9090"}, "URL"),
            ({"query_url": "ftp://h/"}, "http"),
            ({"query_url": "file:///etc/passwd"}, "http"),
            ({"query_url": "http://"}, "host"),
            ({"query_url": "http://a b/"}, "URL"),
            ({"query_url": "http://169.254.169.254/"}, "allow_networks"),
            ({"query_url": "http://10.0.0.1/"}, '"loc": ["query_url"]'),
            ({"query_url": "http://[::ffff:10.0.0.1]/"}, "allow_networks"),
            ({"query_url": "http://2130706433/"}, "host"),
            ({"query_url": "http://0x7f.1/"}, "host"),
            ({"query_url": "http://no-such-host.invalid/"}, "resolve"),
            ({"query_url": "http://h" + "x" * 3000}, "query_url"),
            ({"revision": 5}, "revision"),
        ]
    ),
    *(
        ("POST", "/analyzers", ANALYZER, change, name)
        for change, name in [
            ({"name": ""}, "name"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"name": "x" * 101}, "name"),
            ({"provider": "crystal ball"}, "provider"),
            ({"provider": 5}, "provider"),
            ({"config": []}, "config"),
            ({"config": {}}, "base_url"),
            ({"config": {**ANALYZER["config"], "base_url": "ftp://h/"}}, "base_url"),
            ({"config": {**ANALYZER["config"], "base_url": "http://10.0.0.1/"}}, "allow_networks"),
            ({"config": {**ANALYZER["config"], "base_url": "http://169.254.169.254/"}}, "allow_networks"),
            ({"config": {**ANALYZER["config"], "api_key": "***"}}, "api_key"),
            ({"config": {**ANALYZER["config"], "api_key": ""}}, "api_key"),
            ({"config": {**ANALYZER["config"], "temperature": 5}}, "temperature"),
            ({"enabled": "maybe"}, "enabled"),
            ({"default": None}, "default"),
        ]
    ),
    *(
        ("PUT", "/analysis/policy", {}, change, name)
        for change, name in [
            ({"filter": "severity"}, "filter"),
            ({"filter": ["severity"]}, "filter"),
            ({"filter": ['severity=~"("']}, "regular expression"),
            ({"filter": ['a="b"'] * 21}, "filter"),
            ({"filter": [5]}, "filter"),
            ({"hold": "61s"}, "less than or equal to 1m"),
            ({"hold": 30}, "hold"),
            ({"hold": "-1s"}, "hold"),
            ({"max_per_hour": -1}, "max_per_hour"),
            ({"max_per_hour": 1.5}, "max_per_hour"),
            ({"max_per_hour": 10**30}, "max_per_hour"),
            ({"budget": 1}, "budget"),
        ]
    ),
    *(
        ("POST", "/tokens", {"name": "t", "role": "viewer"}, change, name)
        for change, name in [
            ({"name": ""}, "name"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"name": "x" * 101}, "name"),
            ({"role": "root"}, "role"),
            ({"role": None}, "role"),
            ({"scopes": ["rules:read"]}, "either"),
            ({"role": None, "scopes": ["rules"]}, "scopes"),
            ({"role": None, "scopes": ["x" * 500_000]}, "scopes"),
            ({"role": None, "scopes": ["*"]}, "scopes"),
            ({"role": None, "scopes": ["sync:"]}, "scopes"),
            ({"role": None, "scopes": ["sync:a/b"]}, "scopes"),
            ({"role": None, "scopes": ["admin"]}, "scopes"),
            ({"role": None, "scopes": ["ingest"] * 51}, "scopes"),
            ({"role": None, "scopes": "ingest"}, "scopes"),
            ({"expires_in": "0s"}, "expires_in"),
            ({"expires_in": "-1d"}, "expires_in"),
            ({"expires_in": "11y"}, "expires_in"),
            ({"expires_in": 90}, "expires_in"),
            ({"expires_in": None}, "expires_in"),
            ({"cluster_id": "a b"}, "cluster_id"),
            ({"cluster_id": ""}, "cluster_id"),
            ({"cluster_id": "x" * 101}, "cluster_id"),
            ({"token": "mine"}, "token"),
        ]
    ),
    *(
        ("POST", "/clusters/c1/tokens", {}, change, name)
        for change, name in [
            ({"name": ""}, "name"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"expires_in": "soon"}, "expires_in"),
            ({"role": "admin"}, "role"),
            ({"scopes": ["ingest"]}, "scopes"),
        ]
    ),
    *(
        ("POST", "/channels", CHANNEL, change, name)
        for change, name in [
            ({"name": ""}, "name: String should have at least 1 character"),
            ({"name": "x" * 101}, "name: String should have at most 100 characters"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"name": "user:alice"}, "user_id"),
            ({"plugin_name": "none"}, "none"),
            ({"config": []}, "config"),
            ({"config": {}}, "url"),
            ({"config": {"url": 5}}, "url"),
            ({"config": {f"unknown{number}": 1 for number in range(5000)}}, "(and 4981 more)"),
            ({"config": {"url": "http://10.0.0.1/"}}, "allow_networks"),
            ({"config": {"url": "http://127.0.0.1:1/", "x": 1}}, "x"),
            ({"fallback": "a"}, "fallback"),
            ({"fallback": ["a"] * 11}, "fallback"),
            ({"default": "perhaps"}, "default"),
            ({"user_id": ""}, "user_id"),
            ({"language": "fr"}, "language"),
            ({"language": 5}, "language"),
            ({"template": ""}, "template"),
            ({"template": "nothing"}, "template"),
            ({"template": ["x"]}, "template"),
            ({"config": {"url": 10**30}}, "url"),
            ({"config": {"url": "http://127.0.0.1:1/", "secret": [10**30]}}, "secret"),
        ]
    ),
    *(
        ("POST", "/config/sync/status", REPORT, change, name)
        for change, name in [
            ({"cluster_id": "a b"}, "cluster_id"),
            ({"config_type": "grafana"}, "config_type"),
            ({"status": "maybe"}, "status"),
            ({"sync_time": "yesterday"}, "sync_time"),
            ({"sync_time": True}, "sync_time"),
            ({"sync_time": 1e18}, "sync_time"),
            ({"sync_time": -1e15}, "sync_time"),
            ({"sync_time": None}, "sync_time"),
            ({"config_hash": "abc"}, "config_hash"),
            ({"config_hash": "G" * 64}, "config_hash"),
            ({"duration_ms": -1}, "duration_ms"),
            ({"duration_ms": 2**40}, "duration_ms"),
            ({"instance": "x" * 201}, "instance"),
            ({"error_message": "x" * 20_000}, "error_message"),
            ({"extra": 1}, "extra"),
        ]
    ),
    *(
        ("POST", "/alerts/webhook", WEBHOOK, change, name)
        for change, name in [
            ({"version": "3"}, "version"),
            ({"version": 4}, "version"),
            ({"status": "unknown"}, "status"),
            ({"alerts": {}}, "alerts"),
            ({"alerts": None}, "alerts"),
            ({"alerts": [5]}, "alerts.0"),
            ({"alerts": [{}]}, "alerts.0"),
            ({"alerts": [ALERT | {"status": "pending"}]}, "alerts.0.status"),
            ({"alerts": [ALERT | {"labels": {}}]}, "alerts.0"),
            ({"alerts": [ALERT | {"labels": {"a": 1}}]}, "alerts.0.labels"),
            ({"alerts": [ALERT | {"labels": {"a": "\x00"}}]}, "U+0000"),
            ({"alerts": [ALERT | {"startsAt": "yesterday"}]}, "startsAt"),
            ({"alerts": [ALERT, ALERT | {"labels": None}]}, "alerts.1.labels"),
        ]
    ),
    *(
        ("POST", "//api/v2/alerts", [], change, name)
        for change, name in [
            ([{}], "labels"),
            ([5], "0"),
            ([{"labels": {}}], "0: an alert needs"),
            ([{"labels": {"a": "\x00"}}], "U+0000"),
            ([{"labels": {"a": "b"}, "startsAt": "x"}], "startsAt"),
            ({"alerts": []}, ""),
        ]
    ),
    *(
        ("POST", f"/queues/notification/dead/{what}", {}, change, name)
        for what in ("requeue", "purge")
        for change, name in [
            ({}, "ids"),
            ({"ids": [], "filter": []}, "ids"),
            ({"ids": ["1-1"], "filter": ['why="crashed"']}, "filter"),
            ({"ids": "1-1"}, "ids"),
            ({"ids": [5]}, "ids"),
            ({"ids": ["1"]}, "ids"),
            ({"ids": ["0-0"]}, "no such id"),
            ({"ids": ["00-0"]}, "no such id"),
            ({"ids": [f"{2**64}-0"]}, "no such id"),
            ({"ids": ["٣-٣"]}, "ids"),
            ({"ids": ["1-1"] * 1001}, "ids"),
            ({"filter": 'why="crashed"'}, "filter"),
            ({"filter": {"why": "crashed"}}, "filter"),
            ({"filter": ["why"]}, "filter"),
            ({"filter": ['colour="red"']}, 'cannot filter by \\"colour\\"'),
            ({"filter": ['error=~"("']}, "regular expression"),
            ({"filter": ['why="crashed"'] * 21}, "filter"),
            ({"why": "crashed"}, "why"),
        ]
    ),
    *(
        ("PUT", "/routing", {"route": {"receiver": "ops"}}, change, name)
        for change, name in [
            ({}, 'no channel \\"ops\\"'),
            ({"route": None}, "route"),
            ({"route": []}, "route"),
            ({"route": {"receiver": ""}}, "receiver"),
            ({"route": {"receiver": "x" * 100_000}}, "channel"),
            ({"route": {"receiver": "ops", "matchers": ["a=b"]}}, "matchers"),
            ({"route": {"receiver": "ops", "group_by": ["a", "a"]}}, "group_by"),
            ({"route": {"receiver": "ops", "group_wait": 30}}, "group_wait"),
            ({"route": {"receiver": "ops", "group_wait": "9" * 5000 + "s"}}, "group_wait"),
            ({"route": {"receiver": "ops", "group_interval": "0s"}}, "group_interval"),
            ({"route": {"receiver": "ops", "routes": [{"matchers": ["a"]}]}}, "routes.0.matchers"),
            ({"route": {"receiver": "ops", "routes": [{"match_re": {"a": "("}}]}}, "regular expression"),
            ({"route": {"receiver": "ops", "routes": [{"match": {"a": "\x00"}}]}}, "U+0000"),
            ({"route": {"receiver": "ops", "routes": [{"mute_time_intervals": ["x"]}]}}, "mute_time_intervals"),
            ({"route": {"receiver": "ops", "recievers": 1}}, "recievers"),
            ({"inhibit_rules": [{"equal": [""]}]}, "equal"),
            ({"time_intervals": [{"name": "x", "time_intervals": [{"location": "../etc"}]}]}, "time zone"),
            ({"time_intervals": [{"name": "x", "time_intervals": [{"months": [10**30]}]}]}, "months"),
            ({"receivers": [{"name": "ops", "channels": "a"}]}, "channels"),
            ({"receivers": [{"name": "ops", "channels": ["a"] * 101}]}, "channels"),
            ({"receivers": [{"name": "ops", "channels": ["nobody"]}]}, "nobody"),
            ({"receivers": [{"name": "ops", "send_resolved": "no"}]}, "send_resolved"),
            ({"receivers": [{"name": "ops", "webhook_configs": []}]}, "webhook_configs"),
            ({"global": {"resolve_timeout": "5m"}}, "alerts.resolve_timeout"),
            ({"inhibit_rule": []}, 'Did you mean \\"inhibit_rules\\"'),
        ]
    ),
    *(
        ("POST", "/analysis/callbacks/none", {}, change, name)
        for change, name in [
            ({"analysis": 5}, '"message": "analysis: write an object or a text"'),
            ({"analysis": []}, "analysis"),
            ({"execution_id": 1.5}, '"message": "execution_id: write a text or a whole number"'),
            ({"error": {}}, "error"),
            ({"status": "pending"}, "status"),
            ({"task_id": 5}, "task_id"),
        ]
    ),
    *(
        ("POST", "/heartbeats", HEARTBEAT, change, name)
        for change, name in [
            ({"name": ""}, "name"),
            ({"name": " \t"}, "it has nothing but blanks"),
            ({"name": "x" * 201}, "name"),
            ({"matchers": []}, "matchers"),
            ({"matchers": ["a"]}, "matchers.0"),
            ({"matchers": ['a=~".*"']}, "name a value"),
            ({"matchers": ['a="b"'] * 21}, "matchers"),
            ({"interval": "29s"}, "greater than or equal to 30s"),
            ({"interval": "31d"}, "less than or equal to 30d"),
            ({"interval": "-5m"}, "interval"),
            ({"interval": "1e999s"}, "interval"),
            ({"interval": 300}, "interval"),
            ({"labels": {"": "x"}}, "as a name"),
            ({"labels": {"a": 1}}, "labels.a"),
            ({"labels": {f"l{n}": "x" for n in range(51)}}, "labels"),
            ({"every": "5m"}, "every"),
        ]
    ),
    *(("PUT", "/escalation", {}, {"rules": [{**STEP, **change}]}, name) for change, name in STEPS),
    *(
        ("POST", "/alerts/bulk", {"action": "ack", "ids": ["a"]}, change, name)
        for change, name in [
            ({"action": "delete"}, "action"),
            ({"action": None}, "action"),
            ({"ids": None}, '\\"ids\\" or \\"filter\\"'),
            ({"ids": []}, "ids"),
            ({"ids": [""]}, "ids.0"),
            ({"ids": ["a"] * 10_001}, "ids"),
            ({"filter": ["a"]}, "filter"),
            ({"ids": None, "filter": ["a"]}, "not a matcher"),
            ({"ids": None, "filter": ['alertname=~"("']}, "regular expression"),
            ({"to": ""}, "to"),
            ({"comment": "x" * 17_000}, "comment"),
            ({"comment": None}, "comment"),
        ]
    ),
    *(
        ("POST", "/routing/explain", {}, change, name)
        for change, name in [
            ({}, "alert"),
            ({"labels": {}}, "labels"),
            ({"labels": {"": "x"}}, "as a name"),
            ({"labels": {"a": 1}}, "labels.a"),
            ({"labels": []}, "labels"),
            ({"alert": ""}, "alert"),
            ({"alert": 5}, "alert"),
            ({"alert": "a", "labels": {"a": "b"}}, "alert"),
        ]
    ),
    *(("POST", "/rules/batch", {}, {"operations": operations}, name) for operations, name in OPERATIONS),
    *(
        ("POST", "/rules/none/rollback", {}, change, "version")
        for change in ({}, {"version": None}, {"version": 1}, {"version": "v" * 21}, {"versions": "v1.0.0"})
    ),
    ("PUT", "/clusters/c1", {}, {"id": "c2"}, "id"),
    ("PUT", "/clusters/c1", {}, {"config_types": []}, "config_types"),
    ("PUT", "/clusters/c1", {}, {"query_url": "http://10.0.0.1"}, "allow_networks"),
]


def cases() -> Iterator[Case]:
    for path, (query, names) in itertools.product(LISTS, QUERIES.items()):
        yield Case(name=f"{path}?{query[:40]}", method="GET", path=f"{path}?{query}", names=names)
    for template, (id, status) in itertools.product(ADDRESSED, IDS.items()):
        yield Case(name=f"GET {template.format(id[:20])}", method="GET", path=template.format(id), status=status)
    for (method, path), (name, body) in itertools.product(WRITES, BODIES.items()):
        if name not in {"no body", "blanks"} or path not in TAKES_NOTHING:
            yield Case(name=f"{name} to {path}", method=method, path=path, body=body)
    for method, path in WRITES:
        yield from _wrongly_sent(method, path)
    for path in INTAKES:
        yield from _at_the_intake(path)
    yield from _in_files("/rules/import")
    yield from _in_files(ADOPT)
    yield from _in_files("/routing/import")
    yield from _in_files("/routing", method="PUT")
    yield from _as_a_document()
    yield from _several_files()
    yield from _to_adopt()
    for method, path, good, change, names in FIELDS:
        body = json.dumps({**good, **change} if isinstance(good, dict) else change).encode()
        yield Case(name=f"{str(change)[:90]} to {path}", method=method, path=path, body=body, names=names)
    yield from _others()


def _at_the_intake(path: str) -> Iterator[Case]:
    for name, body in BODIES.items():
        if not (path.endswith("v2/alerts") and name == "a list"):
            yield Case(name=f"{name} to {path}", path=path, body=body)
    bomb = gzip.compress(b" " * (17 * MEBIBYTE))
    yield Case(name=f"too much to {path}", path=path, body=b" " * (16 * MEBIBYTE + 1), status=413)
    yield Case(name=f"a bomb to {path}", path=path, body=bomb, headers={"Content-Encoding": "gzip"}, status=413)


def _in_files(path: str, *, method: str = "POST") -> Iterator[Case]:
    """Where a body is a file, not JSON. JSON is YAML, so what would be JSON must be wrong as rules, too."""
    to = partial(Case, method=method, path=path)
    yaml = {"Content-Type": "application/yaml"}
    for name, body in {
        **BODIES,
        "many aliases": b"a: &a [" + b"*a," * 9 + b"]",
        "a tab": b"groups:\n\t- name: a",
    }.items():
        yield to(name=f"{name} as a file to {path}", body=body, headers=yaml)
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"Content-Type": media}
        yield to(name=f"rules as {media!r} to {path}", body=b"{}", headers=headers, status=415)
    spaces = b" " * (16 * MEBIBYTE + 1)
    bomb = gzip.compress(b" " * (17 * MEBIBYTE))
    zipped = {**yaml, "Content-Encoding": "gzip"}
    yield to(name=f"too large a file to {path}", body=spaces, headers=yaml, status=413)
    yield to(name=f"a bomb of a file to {path}", body=bomb, headers=zipped, status=413)


def _as_a_document() -> Iterator[Case]:
    for name, body in BODIES.items():
        yield Case(name=f"{name} as a document", method="PUT", path="/routing", body=body)
    for query, names in {"dry_run=perhaps": "dry_run", f"comment={'x' * 1001}": "comment", "map=a:b": "map"}.items():
        yield Case(name=f"routing?{query[:20]}", method="PUT", path=f"/routing?{query}", body=b"{}", names=names)


def _several_files() -> Iterator[Case]:
    path = "/rules/import"
    for name, body in BODIES.items():
        yield Case(name=f"{name} as files", path=path, body=body)
    for name, body in {
        "no files": b'{"files": []}',
        "a file without a name": b'{"files": [{"content": ""}]}',
        "a file without content": b'{"files": [{"name": "a"}]}',
        "a file that is no text": b'{"files": [{"name": "a", "content": {}}]}',
        "an empty file": b'{"files": [{"name": "a.yml", "content": ""}]}',
    }.items():
        yield Case(name=name, path=path, body=body)
    many = b'{"files": [' + b"{}," * 500_000 + b"{}]}"
    yield Case(name="very many wrong files", path=path, body=many, names="files.0.name: Field required (and 1 more)")


def _to_adopt() -> Iterator[Case]:
    for name, body in {**BODIES, "a tar of nothing": b"\0" * 10_240}.items():
        for media in ("application/yaml", "application/x-tar"):
            headers = {"Content-Type": media}
            path = ADOPT.replace("prometheus", "alertmanager")
            yield Case(name=f"{name} as {media} to adopt", path=path, body=body, headers=headers)
    for query, names in {
        "": "cluster_id",
        "cluster_id=c1": "type",
        "type=prometheus": "cluster_id",
        "cluster_id=a%20b&type=prometheus": "cluster_id",
        "cluster_id=c1&type=grafana": "type",
        "cluster_id=c1&type=prometheus&wait=1": "wait",
    }.items():
        yield Case(name=f"adopt?{query}", path=f"/config/adopt?{query}", names=names)


def _wrongly_sent(method: str, path: str) -> Iterator[Case]:
    to = partial(Case, method=method, path=path, body=b'{"name": "a"}')
    spaces = b" " * (MEBIBYTE + 1)
    forms = ("application/x-www-form-urlencoded", "multipart/form-data")
    for media in ("text/plain", *forms, "application/yaml", "junk", ""):
        yield to(name=f"{media!r} to {path}", headers={"Content-Type": media}, status=415)
    for encoding in ("compress", "gzip, gzip", "x-unknown"):
        yield to(name=f"{encoding} to {path}", headers={"Content-Encoding": encoding}, status=415)
    for encoding, bomb in (("gzip", gzip.compress(spaces)), ("deflate", zlib.compress(spaces))):
        compressed = {"Content-Encoding": encoding}
        yield to(name=f"{encoding} bomb to {path}", body=bomb, headers=compressed, status=413)
        yield to(name=f"broken {encoding} to {path}", body=b"{" * 50, headers=compressed)
        yield to(name=f"half a {encoding} to {path}", body=bomb[: len(bomb) // 2], headers=compressed)
    yield to(name=f"too much to {path}", body=spaces, status=413)
    yield to(name=f"a parameter to {path}", path=f"{path}?surprise=1", names="surprise")


def _others() -> Iterator[Case]:
    sync = "/config/sync?cluster_id=c1&type=prometheus"
    for path, names in {
        "/config/sync": "cluster_id",
        "/config/sync?cluster_id=c1": "type",
        "/config/sync?type=prometheus": "cluster_id",
        "/config/sync?cluster_id=&type=prometheus": "cluster_id",
        "/config/sync?cluster_id=a%20b&type=prometheus": "cluster_id",
        "/config/sync?cluster_id=c1&type=grafana": "type",
        f"{sync}&wait=61": "wait",
        f"{sync}&wait=-1": "wait",
        f"{sync}&wait=soon": "wait",
        f"{sync}&format=yaml": "format",
        f"{sync}&type=vmalert": "type",
        "/routing?x=1": "x",
        "/routing/versions?limit=1": "limit",
        "/routing/diff": "from",
        "/routing/diff?from=v1.0.0": "to",
        "/routing/diff?from=1&to=v1.0.0": "from",
        "/config/preview": "cluster_id",
        "/config/preview?cluster_id=c1&type=x": "type",
        "/config/status?x=1": "x",
        "/plugins?limit=1": "limit",
        "/rules/none?x=1": "x",
        "/rules/export?format=json": "format",
        "/rules/export?limit=5": "limit",
        "/rules/export?cluster_id=a%20b": "cluster_id",
        "/rules/export?filter=x": "filter",
        "/rules/none/versions?limit=0": "limit",
        "/rules/none/versions?cursor=x": "cursor",
        "/rules/none/versions?sort=at": "sort",
        "/rules/none/diff?from_=v1.0.0": "from",
        f"/rules/none/diff?from={'v' * 30}": "from",
        "/alerts/none/timeline?limit=0": "limit",
        "/alerts/none/timeline?cursor=x": "cursor",
        "/alerts/none/timeline?cursor=0": "cursor",
        f"/alerts/none/timeline?cursor={2**63}": "cursor",
        "/queues?limit=1": "limit",
        "/queues/notification?x=1": "x",
        "/queues/notification/dead?limit=0": "limit",
        "/queues/notification/dead?cursor=x": "cursor",
        "/queues/notification/dead?cursor=0-0": "cursor",
        "/queues/notification/dead?cursor=0-000": "cursor",
        f"/queues/notification/dead?cursor={2**64}-1": "cursor",
        f"/queues/notification/dead?cursor={'9' * 5000}-1": "cursor",
        "/queues/notification/dead?filter=why": "filter",
        "/queues/notification/dead?filter=colour%3Dred": "colour",
        "/queues/notification/dead?filter=error%3D~%22(%22": "regular expression",
        "/queues/notification/dead?sort=id": "sort",
        "/tasks?filter=payload%3Dx": "payload",
        "//metrics?x=1": "x",
        "//healthz?x=1": "x",
        "//readyz?verbos": "verbose",
    }.items():
        yield Case(name=f"GET {path[:60]}", method="GET", path=path, names=names)
    for path in (
        "/nothing",
        "/rules/",
        "//nothing",
        "//",
        "//healthz/",
        "//api",
        "/rules/a/b/c",
        "//api/v1/../v1/rules",
    ):
        yield Case(name=f"GET {path}", method="GET", path=path, status=404)
    for path in (
        "/routing",
        "/clusters/none",
        "/tokens/none",
        "/rules/none",
        "/channels/none",
        "/silences/none",
        "/clusters/c1/tokens/none",
    ):
        yield Case(name=f"DELETE {path}", method="DELETE", path=path, status=404)
    for path in (
        "/clusters/none/tokens",
        "/channels/none/test",
        "/channels/none/check",
        "/channels/none/breaker/reset",
        "/analyzers/none/breaker/reset",
        "/plugins/none/test",
        "/queues/none/pause",
        "/queues/none/resume",
        "/tasks/none/retry",
        "/tasks/none/cancel",
        "/tasks/01a20567-2085-790e-8405-53c844613db1/cancel",
    ):
        yield Case(name=f"POST {path}", path=path, body=b"{}", status=404)
    for what in ("requeue", "purge"):
        path = f"/queues/none/dead/{what}"
        yield Case(name=f"POST {path}", path=path, body=b'{"ids": ["1-1"]}', status=404)
    yield Case(name="a cluster twice", path="/clusters", body=b'{"id": "c1"}', status=409)
    for method, path in (
        ("PATCH", "/rules"),
        ("DELETE", "/rules"),
        ("PUT", "/tokens"),
        ("POST", "//healthz"),
        ("OPTIONS", "/rules"),
    ):
        yield Case(name=f"{method} {path}", method=method, path=path, status=405)
    for tag in ('"99"', 'W/"1"', "garbage", '""', '"', "'1'", '"-1"', '"1e0"', "1", '"a", "b"', "", " "):
        yield Case(
            name=f"If-Match: {tag}",
            method="PUT",
            path="/clusters/c1",
            body=b"{}",
            headers={"If-Match": tag},
            status=412,
        )
    rule = json.dumps(RULE).encode()
    for key in ("", "x" * 256, "a\tb"):
        used = {"Idempotency-Key": key}
        yield Case(name=f"key {key[:9]!r}", path="/rules", body=rule, headers=used, names="Idempotency-Key")


CASES = list(cases())


async def send(session: aiohttp.ClientSession, address: str, case: Case) -> Answer:
    path = case.path[1:] if case.path.startswith("//") else f"/api/v1{case.path}"
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json", **case.headers}
    url = URL(address + path, encoded=True)
    body = io.BytesIO(case.body) if case.body else None
    async with asyncio.timeout(20), session.request(case.method, url, headers=headers, data=body) as response:
        return Answer(response.status, response.headers, await response.read())


def findings(case: Case, answer: Answer) -> Iterator[str]:
    if answer.status != case.status:
        yield f"{answer.status}, not {case.status}: {answer.body[:300]!r}"
        return
    if answer.headers["Content-Type"] != "application/json":
        yield f"not JSON: {answer.body[:300]!r}"
        return
    if case.path == ALERTMANAGERS and case.status == 400:
        if not isinstance(answer.json, str) or case.names not in answer.json:
            yield f"not the text that Alertmanager would answer: {answer.body[:300]!r}"
        return
    content = answer.json
    if set(content) != {"error", "timestamp", "path", "request_id"} or set(content["error"]) != PARTS:
        yield f"not the envelope: {answer.body[:300]!r}"
    if content["error"]["type"] != TYPES[answer.status]:
        yield f"type {content['error']['type']}"
    if answer.headers["X-Request-ID"] != content["request_id"]:
        yield "two request ids"
    if case.names not in json.dumps(content["error"]):
        yield f"{case.names!r} does not stand in {answer.body[:300]!r}"
    if len(answer.body) > 100_000:
        yield f"an answer of {len(answer.body)} bytes"


def test_the_corpus_is_a_large_one_without_doubles() -> None:
    assert len(CASES) > 800
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("part", range(4))
async def test_every_bad_request_gets_the_4xx_that_says_why(api: Api, part: int) -> None:
    assert (await api.post("/clusters", {"id": "c1", "config_types": ["prometheus", "alertmanager"]})).status == 201

    wrong = []
    with capture_logs() as logs:
        async with aiohttp.ClientSession() as session:
            for case in CASES[part::4]:
                try:
                    answer = await send(session, api.address, case)
                except (aiohttp.ClientError, TimeoutError) as error:
                    wrong.append(f"{case.name}: {error!r}")
                else:
                    wrong += [f"{case.name}: {finding}" for finding in findings(case, answer)]

    assert not wrong, f"{len(wrong)} of {len(CASES)}:\n" + "\n".join(wrong)
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert (await api.get("//readyz")).status == 200


@pytest.mark.parametrize("path", TAKES_NOTHING)
async def test_where_every_field_is_optional_nothing_is_a_request(api: Api, path: str) -> None:
    await api.post("/clusters", {"id": "c1"})
    method = next(method for method, of in WRITES if of == path)

    assert (await api.call(method, path)).status == TAKES_NOTHING[path]
