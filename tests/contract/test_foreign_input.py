"""Bad requests to the routes of Alertmanager's API v2: a 4xx in Alertmanager's own forms, and nothing breaks."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
from structlog.testing import capture_logs

from tests.contract.test_bad_input import BODIES, IDS, MEBIBYTE, Case, send
from tests.support.service import Answer, Api

ALERTS, GROUPS, SILENCES = "//api/v2/alerts", "//api/v2/alerts/groups", "//api/v2/silences"
SILENCE = {
    "matchers": [{"name": "a", "value": "b", "isRegex": False}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2098-01-01T00:00:00Z",
    "createdBy": "ann",
    "comment": "c",
}

FILTERS = [
    "filter=",
    "filter=%20",
    "filter=a",
    "filter=%7B%7D",
    "filter=%7Ba%3Db",
    "filter=a%3D%22",
    "filter=a%3D~%22(%22",
    "filter=a%3D~%22a(%3F%3Db)%22",
    "filter=a%3D~%22(a)%5C%5C1%22",
    "filter=a%3D~%22a%7B1001%7D%22",
    "filter=%00",
    "filter=a%3D%22%00%22",
    "filter=%22a.b%22%3D%22%5Cu0000%22",
    "filter=%22a.b%22%3D%22%5Cud800%22",
    "filter=%22a.b%22%3D%22%5Cxff%22",
    f"filter=a%3D%22{'a' * 2100}%22",
    "&".join(["filter=a%3Db"] * 101),
    "other%00=1",
]
RECEIVERS = ["receiver=(", "receiver=%00", "receiver=(%3F%3Da)", "receiver=a%7B1001%7D", f"receiver={'a' * 1100}"]

CHANGES: list[dict[str, Any]] = [
    {"matchers": []},
    {"matchers": {}},
    {"matchers": "a=b"},
    {"matchers": [None]},
    {"matchers": [5]},
    {"matchers": [{}]},
    {"matchers": [{"name": "a", "value": "b", "isRegex": 1}]},
    {"matchers": [{"name": "a", "value": "b", "isRegex": "false"}]},
    {"matchers": [{"name": "a", "value": 5, "isRegex": False}]},
    {"matchers": [{"name": "a", "value": "\x00", "isRegex": False}]},
    {"matchers": [{"name": "\x00", "value": "b", "isRegex": False}]},
    {"matchers": [{"name": "a", "value": "(", "isRegex": True}]},
    {"matchers": [{"name": "a", "value": "a" * 20_000, "isRegex": True}]},
    {"matchers": [{"name": "a", "value": "", "isRegex": False}]},
    {"matchers": [{"name": f"a{n}", "value": "b", "isRegex": False} for n in range(101)]},
    {"comment": "\x00"},
    {"createdBy": []},
    {"createdBy": None},
    {"startsAt": None},
    {"startsAt": "9999-99-99"},
    {"startsAt": "+292278994-08-17T07:12:55Z"},
    {"endsAt": ""},
    {"endsAt": 1e300},
    {"endsAt": "0001-01-01T00:00:00+14:00"},
    {"endsAt": "9999-12-31T23:59:59-14:00"},
    {"endsAt": "0001-01-01T00:00:00Z"},
    {"id": 5},
    {"id": "\x00"},
]


def cases() -> Iterator[Case]:
    for path in (ALERTS, GROUPS, SILENCES):
        for query in FILTERS:
            yield Case(name=f"{path}?{query}", method="GET", path=f"{path}?{query}")
    for path in (ALERTS, GROUPS):
        for query in RECEIVERS:
            yield Case(name=f"{path}?{query}", method="GET", path=f"{path}?{query}")
    for id in IDS:
        for method in ("GET", "DELETE"):
            status = 400 if "%00" in id else 422
            path = f"//api/v2/silence/{id}"
            yield Case(name=f"{method} {path}", method=method, path=path, status=status)
    for name, body in BODIES.items():
        yield Case(name=name, path=SILENCES, body=body)
    for change in CHANGES:
        body = json.dumps({**SILENCE, **change}).encode()
        yield Case(name=str(change), path=SILENCES, body=body)
    bomb = gzip.compress(b" " * (MEBIBYTE + 1))
    yield Case(name="too much", path=SILENCES, body=b" " * (MEBIBYTE + 1), status=413)
    yield Case(name="a bomb", path=SILENCES, body=bomb, headers={"Content-Encoding": "gzip"}, status=413)
    yield Case(name="a form", path=SILENCES, body=b"{}", headers={"Content-Type": "text/plain"}, status=415)


CASES = list(cases())


def finding(case: Case, answer: Answer) -> list[str]:
    expected = {400, 422} if case.path == SILENCES and case.status == 400 else {case.status}
    is_json = answer.headers["Content-Type"] == "application/json"
    if answer.status in expected and is_json and is_formed(answer):
        return []
    return [f"{case.name[:200]}: {answer.status} {answer.body[:300]!r}"]


def is_formed(answer: Answer) -> bool:
    """A bare text or, for what Alertmanager's reader of requests refuses, its number and its words."""
    content = answer.json
    if answer.status in {413, 415}:
        return set(content) == {"error", "timestamp", "path", "request_id"}
    if isinstance(content, dict):
        return set(content) == {"code", "message"}
    return answer.status == 400 and isinstance(content, str) and bool(content)


async def test_every_bad_request_gets_a_4xx_in_alertmanagers_form(api: Api) -> None:
    wrong = []
    with capture_logs() as logs:
        async with aiohttp.ClientSession() as session:
            for case in CASES:
                wrong += finding(case, await send(session, api.address, case))

    assert not wrong, "\n".join(wrong)
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert (await api.get(SILENCES)).json == []
