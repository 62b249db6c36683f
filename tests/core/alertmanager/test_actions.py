"""Template actions that end, and those that do not."""

import pytest

from alertagent.core.alertmanager.actions import has_open_action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no action } }} { here",
        "{{ .Status }}",
        "{{- .Status -}} and {{ .Foo }}",
        '{{ "}}" }}',
        '{{ "\\"}}" }}',
        "{{ `}}\n\\` }}",
        "{{ '\"' }}",
        "{{/* it's \"open */}}",
        "{{- /* {{ */ -}}",
        "{{ define `a` }}{{ end }}",
        "{{{ .a }}}",
        "{{ if and (eq .a 1) }}\n{{ end }}",
    ],
)
def test_an_action_that_ends_is_closed(text: str) -> None:
    assert not has_open_action(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{{ .Status",
        "{{ .a } }",
        '{{ "}}',
        '{{ "a\n" }}',
        "{{ `}}",
        "{{/* }}",
        "{{ .a }}{{ .b",
        "{{ '}}",
        '{{ "' * 200_000,
    ],
)
def test_an_action_that_never_ends_is_open(text: str) -> None:
    assert has_open_action(text)
