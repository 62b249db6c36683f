"""The examples of the page about templates, and that it names all there is."""

import re
from pathlib import Path

import pytest

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.templates.data import NAMES, data_of
from alertagent.core.templates.lines import lines_of
from alertagent.core.templates.preview import Samples
from alertagent.core.templates.renderer import Renderer
from alertagent.core.templates.sandbox import FILTERS
from alertagent.kernel.language import Language
from alertagent.plugins.notifiers.outline import plain
from tests.core.alerts.house import House
from tests.support.messages import NOON

PAGE = (Path(__file__).parents[3] / "docs/howto/templates.md").read_text("utf-8")
EXAMPLES = re.findall(r"```jinja ?(\S*)\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples_in_both_languages() -> None:
    assert [language for language, _, _ in EXAMPLES] == ["", "zh-CN"]


@pytest.mark.parametrize(("language", "source", "expected"), EXAMPLES)
async def test_an_example_makes_what_stands_below_it(
    house: House, renderer: Renderer, language: str, source: str, expected: str
) -> None:
    house.clock.time = NOON
    samples = Samples(house.parts.alerts, house.clock, "https://aa.example")
    message = samples.made_up(AlertStatus.FIRING, Language(language or "en"))

    text = await renderer.render(source, data_of(message))

    assert isinstance(text, str), text
    assert "\n".join(map(plain, lines_of(text))) == expected.rstrip("\n")


def test_the_page_names_all_that_a_template_is_told() -> None:
    told = PAGE[PAGE.index("## What a template is told") : PAGE.index("## When a template fails")]
    named = set(re.findall(r"`(\w+)`", told))

    assert named >= set(NAMES)
    assert named >= FILTERS
