"""`alertagent check-rules`: what it says and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alertagent.cli import main

GOOD = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up}\n"
BAD = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up >\n    labels: {a-b: c}\n"


def check(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["check-rules", *arguments], input=given)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "bad.yml").write_text(BAD)
    return tmp_path


@pytest.mark.usefixtures("files")
def test_a_file_without_findings_is_fine() -> None:
    result = check("good.yml")

    assert (result.exit_code, result.output) == (0, "good.yml: fine, 1 rule\n")


@pytest.mark.usefixtures("files")
def test_every_finding_is_a_line_with_its_place() -> None:
    result = check("good.yml", "bad.yml")

    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "good.yml: fine, 1 rule",
        "bad.yml:5:15: invalid promql query: it ends too early",
        "bad.yml:6:14: warning: only Prometheus 3 takes a name with such characters",
        "bad.yml: 1 finding",
    ]


@pytest.mark.usefixtures("files")
def test_a_file_that_cannot_be_read_is_another_matter_than_a_finding() -> None:
    result = check("good.yml", "absent.yml")

    assert result.exit_code == 2
    assert "cannot read absent.yml: No such file" in result.output


def test_programs_get_json_and_may_give_the_file_on_standard_input() -> None:
    result = check("-", "--output", "json", given=BAD)

    assert result.exit_code == 1
    (told,) = json.loads(result.output)
    assert (told["file"], told["valid"], told["rules"]) == ("-", False, 1)
    assert told["errors"] == [
        {
            "loc": ["groups", 0, "rules", 0, "expr"],
            "message": "invalid promql query: it ends too early",
            "line": 5,
            "column": 15,
        }
    ]
    assert told["warnings"][0]["loc"] == ["groups", 0, "rules", 0, "labels", "a-b"]


def test_the_dialect_says_whose_file_it_is() -> None:
    text = "groups:\n- name: g\n  concurrency: 2\n  rules:\n  - {alert: A, expr: up default 0}\n"

    assert check("-", given=text).exit_code == 1
    assert check("-", "--dialect", "metricsql", given=text).exit_code == 0


def test_no_character_of_a_file_steers_the_terminal() -> None:
    result = check("-", given='groups:\n- name: g\n  "\\e[31m": 1\n')

    assert "\x1b" not in result.output
    assert result.exit_code == 1
