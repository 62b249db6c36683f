"""Templates as Go reads them: tables, what promtool says of the same, and a hunt for text that brings it down."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.rules.gotemplate import GO_FUNCTIONS, MAX_DEPTH, read_template

PROMTOOL = "/usr/bin/promtool"
FUNCTIONS = GO_FUNCTIONS | {"humanize", "query", "first", "value", "args"}
VARIABLES = ("$labels", "$externalLabels", "$externalURL", "$value")

GOOD = [
    "",
    "no action, but } and }} and { alone",
    "{{ $value }}",
    "{{$value|humanize|printf `%s`}}",
    "{{- $labels.instance -}}",
    "{{- /* a comment */ -}}",
    "{{/* several\nlines {{ */}}",
    "{{ if . }}a{{ else if $value }}b{{ else if .X }}c{{ else }}d{{ end }}",
    "{{ if . }}\n  {{- if . -}} {{ end }}{{ end }}",
    "{{ with $x := .X }}{{ $x.y.z }}{{ else }}{{ $ }}{{ end }}",
    '{{ range $i, $v := query "up" }}{{ $i }}{{ if $v }}{{ break }}{{ end }}{{ continue }}{{ else }}x{{ end }}',
    "{{ range $v := . }}{{ range $v }}{{ end }}{{ break }}{{ end }}",
    '{{ define "x" }}{{ . }}{{ end }}{{ template "x" . }}{{ template `y` }}',
    '{{ define "x" }} {{ end }}{{ define "x" }}a{{ end }}',
    '{{ block "x" $value }}{{ $ }}{{ end }}',
    "{{ $x := 1 }}{{ $x = 2 }}{{ $x }}",
    "{{ $y = 2 }}{{ $y }}",
    '{{ (query "a" | first).Value }}',
    "{{ print \"a\\n\\\"\\u00e9\\x41\\101\" `raw \"\n` 'c' '\\'' true nil }}",
    "{{ print 1 -1 +1 1.5 .5 5. 1e3 1_000 0x1F 0b11 0o17 017 1i 0x1p-2 08.5 1e1_0 18446744073709551615 }}",
    "{{ eq $value 1.0 | not }}",
    "{{\n$value\n}}",
    "{{ print.x }}",
    "{{ .Labels.über }}",
]

BAD = [
    ("{{ $value", 1, 10, "this action is never closed"),
    ("{{ $value }", 1, 11, 'unexpected "}"'),
    ("a\n{{ $value } }", 2, 11, 'unexpected "}"'),
    ("{{ }}", 1, 4, "missing value for command"),
    ("{{ nothing }}", 1, 4, 'function "nothing" not defined'),
    ("{{ $value | nothing }}", 1, 13, 'function "nothing" not defined'),
    ("{{ $nothing }}", 1, 4, 'undefined variable "$nothing"'),
    ("{{ if $x := . }}{{ end }}{{ $x }}", 1, 29, 'undefined variable "$x"'),
    ("{{ range $i, $v := . }}{{ end }}{{ $v }}", 1, 36, 'undefined variable "$v"'),
    ('{{ $x := 1 }}{{ define "t" }}{{ $x }}{{ end }}', 1, 33, 'undefined variable "$x"'),
    ("{{ if . }}", 1, 11, "the text ends before {{end}}"),
    ("{{ if . }}{{ else }}{{ else }}{{ end }}", 1, 29, "expected {{end}}"),
    ("{{ if }}{{ end }}", 1, 7, "missing value for if"),
    ("{{ end }}", 1, 1, "unexpected {{end}}"),
    ("a{{ else }}", 1, 2, "unexpected {{else}}"),
    ("{{ if . }}{{ end }}{{ end }}", 1, 20, "unexpected {{end}}"),
    ("{{ range . }}{{ else if . }}{{ end }}", 1, 22, 'unexpected "if"'),
    ("{{ break }}", 1, 4, "outside {{range}}"),
    ("{{ range . }}{{ else }}{{ continue }}{{ end }}", 1, 27, "outside {{range}}"),
    ("{{ range $a, $b, $c := . }}{{ end }}", 1, 16, "too many declarations"),
    ("{{ with $a, $b := . }}{{ end }}", 1, 11, "too many declarations"),
    ("{{ if . }}{{ define `x` }}{{ end }}{{ end }}", 1, 14, 'unexpected "define"'),
    ("{{ define `x` }}a{{ end }}{{ define `x` }}b{{ end }}", 1, 37, "a second definition"),
    ("{{ define x }}{{ end }}", 1, 11, 'unexpected "x" in define clause'),
    ("{{ define `x` }}{{ else }}{{ end }}", 1, 11, "unexpected {{else}}"),
    ("{{ template x }}", 1, 13, 'unexpected "x" in template clause'),
    ("{{ $value | 1 }}", 1, 13, "a value can only begin a pipeline"),
    ("{{ | $value }}", 1, 4, 'unexpected "|"'),
    ("{{ $value || $value }}", 1, 12, 'unexpected "|"'),
    ("{{ ($value }}", 1, 12, '"(" is never closed'),
    ("{{ $value) }}", 1, 10, 'unexpected ")"'),
    ("{{ () }}", 1, 5, "missing value for parenthesized pipeline"),
    ('{{ "a".b }}', 1, 7, 'unexpected . after "a"'),
    ('{{ "a }}', 1, 4, "this string is never closed"),
    ("{{ `a }}", 1, 4, "this string is never closed"),
    ("{{ 'ab' }}", 1, 4, "not one character"),
    ('{{ "\\q" }}', 1, 4, "an escape that Go does not know"),
    ("{{ 5a }}", 1, 4, '"5" is no number'),
    ("{{ 08 }}", 1, 4, '"08" is no number'),
    ("{{ 18446744073709551616 }}", 1, 4, '"18446744073709551616" is no number'),
    ("{{ - }}", 1, 4, '"-" is no number'),
    ("{{ é€ }}", 1, 4, "unexpected '€'"),
    ('{{ $value"a" }}', 1, 4, "unexpected '\"' after $value"),
    ("{{ $x=1 }}", 1, 4, "unexpected '=' after $x"),
    ("{{ $value : }}", 1, 11, 'unexpected ":"'),
    ("{{/* never", 1, 3, "this comment is never closed"),
    ("{{/* a */ . }}", 1, 8, "a comment must fill its action"),
    ("{{-}}", 1, 3, '"-" is no number'),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_go_takes_passes(text: str) -> None:
    assert read_template(text, FUNCTIONS, VARIABLES).mistake is None


@pytest.mark.parametrize(("text", "line", "column", "words"), BAD)
def test_what_go_refuses_is_refused_with_its_place(text: str, line: int, column: int, words: str) -> None:
    mistake = read_template(text, FUNCTIONS, VARIABLES).mistake

    assert mistake is not None
    assert words in mistake.message
    assert (mistake.line, mistake.column) == (line, column)


def test_promtool_says_the_same_of_all_these(tmp_path: Path) -> None:
    texts = [*GOOD, *(text for text, *_ in BAD)]
    rules = [{"alert": f"A{n}", "expr": "1", "annotations": {"a": text}} for n, text in enumerate(texts)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))

    told = subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, check=False)

    refused = {int(number) for number in re.findall(r'"A(\d+)": annotation "a": template:', told.stdout + told.stderr)}
    assert refused == set(range(len(GOOD), len(texts)))


def test_the_functions_of_a_template_are_known() -> None:
    assert read_template('{{ query "a" | first | value }}', FUNCTIONS, ()).functions == {"query", "first", "value"}


@pytest.mark.parametrize(
    "text",
    ["{{ " + "(" * 50_000, "{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "{{ if . }}" * 50_000, "{{ range . }}" * 200],
)
def test_depth_is_limited_long_before_the_stack_is(text: str) -> None:
    mistake = read_template(text, FUNCTIONS, VARIABLES).mistake

    assert mistake is not None
    assert f"nested more than {MAX_DEPTH} deep" in mistake.message


def test_a_long_chain_is_not_deep() -> None:
    assert read_template("{{ if . }}" + "{{ else if . }}" * 5_000 + "{{ end }}", (), ()).mistake is None


_PIECES = st.sampled_from([
    "{{", "}}", "{{-", "-}}", " ", "\n", "$x", "$value", ".a", ".", "|", ":=", "=", ",", "(", ")", '"s"', "`r`",
    "'c'", "1", "if", "else", "end", "range", "with", "define", "template", "block", "break", "nil", "printf",
    "/*", "*/", "{", "}", "é", '"', "'", "`", "\\", "$", "%", "{{ if . }}", "{{ end }}", "{{ else }}",
    "{{ range $i, $v := . }}", "{{/* */}}",
])  # fmt: skip


@given(st.one_of(st.text(max_size=100), st.lists(_PIECES, max_size=30).map("".join)))
def test_no_text_at_all_brings_it_down(text: str) -> None:
    mistake = read_template(text, FUNCTIONS, VARIABLES).mistake

    assert mistake is None or (1 <= mistake.line <= text.count("\n") + 1 and mistake.column >= 1)
