"""What a template may not do, and that nothing is lost with the process in which it tried."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alertagent.core.templates import protocol, sandbox
from alertagent.core.templates.data import data_of
from alertagent.core.templates.renderer import Fault, Renderer
from alertagent.core.templates.sandbox import CLOSE, FILTERS, MAX_OUTPUT, OPEN
from tests.support.messages import make_alert, make_message

DATA = data_of(make_message(make_alert(instance="a"), make_alert(instance="b")))


async def fault(renderer: Renderer, source: str, data: dict[str, Any] = DATA) -> Fault:
    found = await renderer.render(source, data)
    assert isinstance(found, Fault), found
    return found


def child() -> int:
    """The process id of the one that renders."""
    found = [int(line) for line in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]
    (pid,) = (pid for pid in found if b"sandbox.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return pid


def test_both_processes_have_agreed_on_the_same() -> None:
    ours = (protocol.OPEN, protocol.CLOSE, protocol.HEAD.format, protocol.RENDER_SECONDS)

    assert (sandbox.OPEN, sandbox.CLOSE, sandbox.HEAD.format, sandbox.RENDER_SECONDS) == ours


async def test_values_are_marked_and_what_the_author_wrote_is_not(renderer: Renderer) -> None:
    text = await renderer.render("# {{ labels.instance }}{{ labels.nothing }}", DATA)

    assert text == f"# {OPEN}a{CLOSE}"


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({}, "alerts"),
        ({"escalated": True}, "escalation"),
        ({"assigned_by": "anna"}, "assignment"),
        ({"digest": True}, "digest"),
        ({"test": True}, "test"),
    ],
)
def test_a_template_knows_what_brought_a_message_about(extra: dict[str, Any], kind: str) -> None:
    assert data_of(replace(make_message(make_alert()), extra=extra))["kind"] == kind


async def test_a_template_in_a_value_is_text(renderer: Renderer) -> None:
    data = data_of(make_message(make_alert("{{ 7*7 }}{% for x in y %}")))

    assert await renderer.render("{{ labels.alertname }}", data) == f"{OPEN}{{{{ 7*7 }}}}{{% for x in y %}}{CLOSE}"


async def test_half_a_character_becomes_a_question_mark(renderer: Renderer) -> None:
    assert await renderer.render("{{ '\\ud800é' }}", DATA) == f"{OPEN}?é{CLOSE}"
    assert (await fault(renderer, "{{ labels.nothing['\\ud800'] + 1 }}")).line == 1


async def test_no_value_can_take_off_its_marks(renderer: Renderer) -> None:
    source = "{{ labels.alertname }}{{ '\\x03' ~ labels.alertname }}{{ '\\x03**x**\\x02' }}"
    data = {**DATA, "labels": {"alertname": f"a{CLOSE}**b**{OPEN}"}}

    assert await renderer.render(source, data) == f"{OPEN}a**b**{CLOSE}{OPEN}a**b**{CLOSE}{OPEN}**x**{CLOSE}"


BOMBS = [
    ("{{ 'x' * 10**9 }}", "MiB of memory"),
    ("{{ 'a'.ljust(10**9) }}", "MiB of memory"),
    ("{{ '{:1000000000}'.format(1) }}", "MiB of memory"),
    ("{{ '%1000000000d' % 1 }}", "MiB of memory"),
    ("{{ [0] * 10**9 }}", "MiB of memory"),
    ("{{ range(10**9) | list }}", "Range too big"),
    ("{% for i in range(99999) %}xxxxxxxxxx{% endfor %}", "64 KiB"),
    ("{{ 'é' * 40000 }}", "64 KiB"),
    ("{{ 10 ** (10 ** 8) }}", "it was stopped"),
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "it was stopped"),
    ("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}", "recursion"),
    ("{{ " + "(" * 5000 + " }}", "recursion"),
]


@pytest.mark.parametrize(("source", "said"), BOMBS)
async def test_a_bomb_hurts_nobody(renderer: Renderer, source: str, said: str) -> None:
    assert said in (await fault(renderer, source)).message
    assert await renderer.render("fine", DATA) == "fine"


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ labels.__class__.__init__ }}",
    "{{ labels['__class__'].mro() }}",
    "{{ labels | attr('__class__') }}",
    "{{ labels | map(attribute='__class__') | list }}{{ ''.__class__.x }}",
    "{{ '{0.__class__.__mro__}'.format(labels) ~ ''.__class__.x }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace }}",
    "{{ joiner }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self }}",
    "{{ config }}",
    "{{ env }}",
    "{{ range.__globals__.x }}",
    "{{ labels.update({'a': 'b'}) }}",
    "{{ alerts.append(1) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import environ %}",
    "{% extends 'x' %}",
    "{% macro a() %}{% endmacro %}",
    "{% call a() %}{% endcall %}",
    "{% set x %}a{% endset %}",
    "{% filter replace('a', 'b') %}a{% endfilter %}",
    "{% block x %}{% endblock %}",
    "{% autoescape true %}a{% endautoescape %}",
    "{% set ns.x = 1 %}",
    "{{ 'a' | safe }}",
    "{{ [1] | random }}",
    "{{ 'a' | center(9) }}",
]


@pytest.mark.parametrize("source", ESCAPES)
async def test_there_is_no_way_out(renderer: Renderer, source: str) -> None:
    assert (await fault(renderer, source)).message


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{% for", 1),
        ("a\n{% if x == %}", 2),
        ("a\n\n{{ lables.x }}", 3),
        ("{{ 1 | nothing }}", 1),
        ("a\n{% macro x() %}{% endmacro %}", 2),
        ("{% frob %}", 1),
    ],
)
async def test_what_is_wrong_is_found_before_there_is_anything_to_render(
    renderer: Renderer, source: str, line: int
) -> None:
    found = await renderer.check(source)

    assert found is not None
    assert found.line == line


async def test_an_error_names_its_line(renderer: Renderer) -> None:
    found = await fault(renderer, "one\ntwo\n{{ labels.instance.nothing.at_all }}")

    assert (found.line, found.was_stopped) == (3, False)


async def test_every_filter_works_without_a_file(renderer: Renderer) -> None:
    """Some of them import what they need when they are called, and no file can be opened then."""
    arguments = {"batch": "(2)", "default": "(1)", "d": "(1)", "groupby": "('status')", "replace": "('a', 'b')"}
    arguments |= {"slice": "(2)", "map": "('upper')", "select": "", "selectattr": "('status')", "wordwrap": "(3)"}
    arguments |= {"rejectattr": "('status')", "join": "(',')"}
    for_what = {"abs": "1", "round": "1", "float": "'1'", "filesizeformat": "1", "int": "'1'"}
    for_what |= dict.fromkeys(("dictsort", "items", "tojson"), "labels")
    for_what |= dict.fromkeys(("groupby", "selectattr", "rejectattr"), "alerts")
    for_what |= dict.fromkeys(("sum", "max", "min"), "[1, 2]")

    for name in sorted(FILTERS):
        value, argument = for_what.get(name, "'a b'"), arguments.get(name, "")
        text = await renderer.render(f"{{{{ {value} | {name}{argument} | string }}}}", DATA)
        assert isinstance(text, str), (name, text)


async def test_a_template_that_was_stopped_is_not_tried_again_at_once(renderer: Renderer) -> None:
    slow = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    await fault(renderer, slow)
    pid_of_the_next = await renderer.render("x", DATA) and child()

    again = await fault(renderer, slow)

    assert (again.was_stopped, "tried again in" in again.message) == (True, True)
    assert child() == pid_of_the_next


async def test_a_process_that_was_killed_is_replaced(renderer: Renderer) -> None:
    await renderer.render("x", DATA)
    killed = child()

    os.kill(killed, signal.SIGKILL)

    assert await renderer.render("y", DATA) == "y"
    assert child() != killed
    assert not Path(f"/proc/{killed}").exists()


async def test_whoever_gives_up_leaves_no_answer_for_another(renderer: Renderer) -> None:
    await renderer.render("x", DATA)
    os.kill(child(), signal.SIGSTOP)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await renderer.render("mine", DATA)

    assert await renderer.render("yours", DATA) == "yours"


async def test_it_sees_nothing_of_ours_and_is_gone_at_the_end() -> None:
    renderer = Renderer()
    async with renderer.running():
        await renderer.render("x", DATA)
        pid = child()
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert len(list(Path(f"/proc/{pid}/fd").iterdir())) == 3
        assert "Max open files            3" in Path(f"/proc/{pid}/limits").read_text()

    assert not Path(f"/proc/{pid}").exists()


async def test_many_at_once_get_their_own(renderer: Renderer) -> None:
    found = await asyncio.gather(*(renderer.render(f"{number}", DATA) for number in range(50)))

    assert found == [str(number) for number in range(50)]


async def test_as_much_as_there_may_be_comes_through(renderer: Renderer) -> None:
    assert await renderer.render("x" * MAX_OUTPUT, DATA) == "x" * MAX_OUTPUT


async def test_more_than_a_template_may_get_is_refused(renderer: Renderer) -> None:
    assert "MiB" in (await fault(renderer, "x", {**DATA, "content": "x" * (17 * 1024 * 1024)})).message
