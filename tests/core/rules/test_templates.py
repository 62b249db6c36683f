"""Which functions and variables each server has, and the shortcut for what nearly everybody writes."""

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.rules import templates
from alertagent.core.rules.gotemplate import read_template
from alertagent.core.rules.model import Dialect
from alertagent.core.rules.templates import check_text, text_warnings

VMALERT = "/usr/bin/vmalert"

ONLY_VMALERT = [
    "{{ $expr | queryEscape }}",
    '{{ jsonEscape "a" }}',
    '{{ $x := query "up" | first | value }}{{ if eq 1.0 $x }}one{{ else }}{{ quotesEscape "b" }}{{ end }}',
]


@pytest.mark.parametrize(
    "text", ["{{ $labels.a }}", "{{ $externalURL }}/{{ $externalLabels.x | toUpper }}{{ $value }}"]
)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_every_server_fills_passes(text: str, dialect: Dialect) -> None:
    assert check_text(text, dialect) is None


@pytest.mark.parametrize("text", ONLY_VMALERT)
def test_what_only_vmalert_has_needs_its_dialect(text: str) -> None:
    mistake = check_text(text, Dialect.PROMQL)

    assert check_text(text, Dialect.METRICSQL) is None
    assert mistake is not None
    assert "only vmalert knows it" in mistake.message


def test_vmalert_takes_what_only_it_has(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    rules = [{"alert": f"A{n}", "expr": "1", "annotations": {"a": text}} for n, text in enumerate(ONLY_VMALERT)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))

    told = subprocess.run([VMALERT, "-dryRun", f"-rule={path}"], capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout + told.stderr


def test_what_nobody_has_is_no_matter_of_the_dialect() -> None:
    mistake = check_text("{{ nothing }}", Dialect.PROMQL)

    assert mistake == check_text("{{ nothing }}", Dialect.METRICSQL)
    assert mistake is not None
    assert mistake.message == 'function "nothing" not defined'


@pytest.mark.parametrize(
    ("text", "dialect", "told"),
    [
        ("{{ $value | humanize }}", Dialect.PROMQL, []),
        ('{{ query "now" }}', Dialect.PROMQL, []),
        ("{{ toDuration now }}", Dialect.PROMQL, ["now", "toDuration"]),
        ("{{ crlfEscape $expr }}", Dialect.METRICSQL, ["crlfEscape"]),
        ("{{ tableLink $expr }}", Dialect.METRICSQL, ["tableLink"]),
    ],
)
def test_functions_that_not_everybody_has_are_named(text: str, dialect: Dialect, told: list[str]) -> None:
    said = list(text_warnings(text, dialect))

    assert len(said) == len(told)
    assert all(f'the function "{name}"' in words for name, words in zip(told, said, strict=True))


_PIECES = st.sampled_from([
    "{{", "}}", "{{ ", " }}", " -}}", "{{- ", "$labels", "$labels.a", ".5a", ".é", "$value", "$valueX", ".Value",
    ".Labels", ".Labels.b", "$externalURL", "|", " | ", "humanize", "humanizeX", "humanize1024", "title",
    'printf "%.2f"', 'printf "a', "{", "}", " ", "\n", "text", '"', "(", "$x",
])  # fmt: skip


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_the_shortcut_takes_nothing_that_go_refuses(text: str) -> None:
    if templates._COMMON.fullmatch(text):
        known = templates._FUNCTIONS[Dialect.PROMQL], templates._VARIABLES[Dialect.PROMQL]
        assert read_template(text, *known).mistake is None


@pytest.mark.parametrize(
    "text", ["{{ $labels.a }} is {{ $value | humanize }}", '{{.Labels.a|printf "%s"}} {', "{{$value}}", "a" * 100_000]
)
def test_the_shortcut_takes_what_is_common(text: str) -> None:
    assert templates._COMMON.fullmatch(text)
