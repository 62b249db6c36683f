"""Whatever text goes in, a YAML reader gets it back as that text."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.yaml_text import scalar
from tests.core.configs.samples import NASTY


def read_back(text: str, indent: int = 4) -> Any:
    return yaml.safe_load(f"a:\n- b: {scalar(text, indent)}\n  c: end\n")


@pytest.mark.parametrize("text", NASTY)
def test_a_text_that_looks_like_something_else_stays_a_text(text: str) -> None:
    assert read_back(text) == {"a": [{"b": text, "c": "end"}]}


@given(st.one_of(st.text(), st.text(alphabet="aA0 \n\t'\"#:-?{}[],&*!|>%@`~\\é\u2028", max_size=12)))
def test_any_text_survives_a_round_trip(text: str) -> None:
    assert read_back(text) == {"a": [{"b": text, "c": "end"}]}


@given(st.from_regex(r"\A[a-zA-Z_][a-zA-Z0-9_]*\Z"))
def test_any_label_name_survives_as_a_key(name: str) -> None:
    assert yaml.safe_load(f"{scalar(name, 2)}: {scalar(name, 2)}\n") == {name: name}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("up", "up"),
        ("up == 0", "up == 0"),
        ("HostDown", "HostDown"),
        ("on", "'on'"),
        ("{{ $labels.instance }} down", "'{{ $labels.instance }} down'"),
        ("5m", "'5m'"),
        ("it's: so", "'it''s: so'"),
        ("a\nb", "|-\n    a\n    b"),
        ("a\n\nb\n", "|\n    a\n\n    b\n".removesuffix("\n")),
        ("a\tb", '"a\\tb"'),
        ("", "''"),
    ],
)
def test_it_reads_as_a_person_would_write_it(text: str, shown: str) -> None:
    assert scalar(text, 4) == shown
