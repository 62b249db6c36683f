"""One record a line, whatever is in it."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from alertagent import log

Written = Callable[[], list[str]]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What was written to stderr; afterwards logging is as it was."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err.split("\n")[:-1]
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def records(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written()]


def test_a_record_is_one_line_of_json_with_time_and_level(written: Written) -> None:
    log.configure(level="info", format="json")

    structlog.get_logger().info("rule.created", rule="磁盘", count=1)

    [record] = records(written)
    assert (record["event"], record["level"], record["rule"], record["count"]) == ("rule.created", "info", "磁盘", 1)
    assert record["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "expected"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_only_what_is_at_least_of_the_level_is_written(written: Written, level: str, expected: list[str]) -> None:
    log.configure(level=level, format="json")
    logger = structlog.get_logger()

    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")

    assert [record["event"] for record in records(written) if record["event"] != "log.configured"] == expected


HOSTILE = "a\nforged.event level=error \x1b[31mred\x1b[0m \r\x00\x07\x9b2J \u2028"


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_label_can_forge_no_line_and_write_no_escape_sequence(written: Written, format: str) -> None:
    log.configure(level="info", format=format)

    structlog.get_logger().info("alert.received", label=HOSTILE, nested={"a": [HOSTILE]})
    logging.getLogger("aiohttp").error("bad request: %s", HOSTILE)

    lines = written()
    assert len(lines) == 2
    assert not any(character in line for line in lines for character in "\x1b\x00\x07\x9b\r")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({1: "a", ("b", 2): "c"}, {"1": "a", "('b', 2)": "c"}),
        ("lone \ud800", "lone \ud800"),
        (2**70, 2**70),
        ([b"bytes", {1}], ["b'bytes'", "{1}"]),
        (float("nan"), None),
        ({"nested": [{"\ud800": 2**70}]}, {"nested": [{"\ud800": 2**70}]}),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    ],
    ids=["keys", "surrogate", "large", "foreign", "nan", "nested", "uuid"],
)
def test_whatever_is_logged_makes_a_record(written: Written, value: Any, shown: Any) -> None:
    log.configure(level="info", format="json")
    structlog.get_logger().info("odd", value=value)

    assert records(written)[0]["value"] == shown


def test_the_standard_librarys_loggers_end_in_the_same_stream_from_warning_on(written: Written) -> None:
    log.configure(level="debug", format="json")

    logging.getLogger("asyncio").info("not shown")
    logging.getLogger("asyncio").warning("slow: %s", "callback")

    assert [(r["event"], r["level"]) for r in records(written)][1:] == [("slow: callback", "warning")]


def test_what_our_own_lines_say_is_not_said_with_a_traceback_by_the_driver_too(written: Written) -> None:
    log.configure(level="debug", format="json")

    logging.getLogger("asyncpg.pool").warning("no connection", exc_info=OSError("away"))
    logging.getLogger("asyncpg.pool").error("something else")

    assert [record["event"] for record in records(written)][1:] == ["something else"]


def test_a_traceback_stays_inside_its_line(written: Written) -> None:
    log.configure(level="info", format="json")
    structlog.get_logger().error("request.crashed", exc_info=KeyError("missing"))

    [record] = records(written)
    assert "KeyError: 'missing'" in record["exception"]


def test_what_is_bound_to_the_context_is_on_every_record(written: Written) -> None:
    log.configure(level="info", format="json")
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("a")
    structlog.get_logger().info("b")

    assert [record.get("request_id") for record in records(written)] == ["r1", None]


def test_where_no_person_looks_on_auto_means_json(written: Written) -> None:
    log.configure(level="info", format="auto")

    structlog.get_logger().info("a")

    assert records(written)[0]["event"] == "a"
