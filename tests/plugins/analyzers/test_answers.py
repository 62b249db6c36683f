import json
from typing import Any

import pytest

from alertagent.plugins.analysis import Analysis
from alertagent.plugins.analyzers.answers import (
    MAX_LINE,
    MAX_LINES,
    MAX_ROOT_CAUSE,
    MAX_SUMMARY,
    count_of,
    read_object,
    read_text,
)


def read(answer: Any) -> Analysis:
    found = read_text(answer if isinstance(answer, str) else json.dumps(answer), provider="p")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text",
    [
        '{"root_cause": "why", "confidence": 0.5}',
        'Here you are:\n```json\n{"root_cause": "why", "confidence": 0.5}\n```\nHope it helps.',
        '<think>{"root_cause": "no"}</think>{"rootCause": "why", "confidence": "50%"}',
        'Is it {"root_cause": "no"}?</think>{"root_cause": "why", "confidence": 0.5}',
        '{"analysis": {"cause": "why", "confidence": 50}}',
        '{"analysis": "{\\"root_cause\\": \\"why\\", \\"confidence\\": 0.5}"}',
        '{"root_cause": "why", "confidence": 0.5,}',
    ],
)
def test_an_object_is_found_wherever_it_stands(text: str) -> None:
    analysis = read(text)

    assert (analysis.root_cause, analysis.confidence) == ("why", 0.5)


@pytest.mark.parametrize(
    ("confidence", "is_read_as"),
    [
        (0.7, 0.7),
        ("0.7", 0.7),
        ("70%", 0.7),
        (70, 0.7),
        (1, 1),
        (-3, 0),
        (1e9, 1),
        ("high", 0),
        (None, 0),
        (True, 0),
        ([1], 0),
        ("nan", 0),
        ("inf", 1),
    ],
)
def test_confidence_lies_between_0_and_1(confidence: Any, is_read_as: float) -> None:
    found = read_object({"root_cause": "why", "confidence": confidence}, provider="p")

    assert found is not None
    assert found.confidence == is_read_as


def test_everything_is_cut_and_has_no_controls() -> None:
    long = "\x1b[31m\x00\u202ex" * 100_000
    analysis = read({"summary": long, "root_cause": long, "evidence": [long] * 100, "actions": long, "runbook": long})

    sizes = [len(text.encode()) for text in (analysis.summary, analysis.root_cause, *analysis.evidence)]
    assert sizes[0] <= MAX_SUMMARY
    assert sizes[1] <= MAX_ROOT_CAUSE
    assert max(sizes[2:]) <= MAX_LINE
    assert len(analysis.evidence) == MAX_LINES
    assert not {"\x1b", "\x00", "\u202e"} & set("".join((analysis.summary, analysis.root_cause, *analysis.evidence)))


def test_what_is_nested_too_deep_to_be_written_says_nothing() -> None:
    deep = "[" * 1_000 + "]" * 1_000

    assert read_text(f'{{"root_cause": {deep}}}', provider="p") is None
    assert read(f'{{"root_cause": "why", "evidence": [{deep}, "seen"]}}').evidence == ("seen",)


@pytest.mark.parametrize(
    ("actions", "lines"),
    [
        (["a", "", "- b"], ("a", "b")),
        ("- a\n* b\n", ("a", "b")),
        ([{"step": 1}], ('{"step":1}',)),
        (None, ()),
        (5, ()),
        ([None, 7], ("7",)),
    ],
)
def test_actions_are_lines(actions: Any, lines: tuple[str, ...]) -> None:
    assert read({"root_cause": "why", "actions": actions}).actions == lines


@pytest.mark.parametrize("text", ["", "  \n", "<think>only thoughts", "{}", '{"confidence": 1}'])
def test_nothing_said_is_no_analysis(text: str) -> None:
    found = read_text(text, provider="p")

    assert found is None or found.root_cause == text


@pytest.mark.parametrize(
    ("value", "count"), [(5, 5), ("5", 5), (5.0, 5), (-1, None), ("x", None), (None, None), (1e400, None), ([], None)]
)
def test_tokens_are_a_number_or_unknown(value: Any, count: int | None) -> None:
    assert count_of(value) == count
