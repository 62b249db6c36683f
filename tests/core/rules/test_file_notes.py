"""To which rule a comment goes."""

import pytest

from alertagent.core.rules.files import read_rules

RULE = "  rules:\n  - {alert: B, expr: up}\n"
HEAD = "groups:\n- name: g\n  rules:\n"


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (f"# x\n{HEAD}  - {{alert: A, expr: up}}\n  - {{alert: B, expr: up}}\n", ["x", ""]),
        (f"{HEAD}  - {{alert: A, expr: up}}\n  # x\n  - {{alert: B, expr: up}}\n", ["", "x"]),
        (f"{HEAD}  - {{alert: A, expr: up}} # x\n  - {{alert: B, expr: up}}\n", ["x", ""]),
        (f"{HEAD}  - alert: A\n# x\n    expr: up\n    # y\n  - {{alert: B, expr: up}}\n", ["x\ny", ""]),
        (f"{HEAD}  - # x\n    alert: A\n    expr: up\n", ["x"]),
        (f"{HEAD}  - {{alert: A, expr: up}}\n# x\n\n#\n#y\n", ["x\n\ny"]),
        (
            "groups:\n- {name: f, rules: [{alert: A, expr: up}]}\n# x\n- name: g # y\n  interval: 5m # z\n" + RULE,
            ["", "x\ny\nz"],
        ),
        (f"{HEAD}  - {{alert: A, expr: up}}\n- name: h # x\n", ["x"]),
        (f"{HEAD}  - alert: A\n    expr: | # x\n      up\n  # y\n  - {{alert: B, expr: up}}\n", ["x", "y"]),
        ("# x\ngroups: [{name: g}]\n", []),
    ],
)
def test_a_comment_goes_to_the_rule_that_it_stands_beside(text: str, notes: list[str]) -> None:
    file = read_rules(text.encode())

    assert file.errors == ()
    assert [rule.content.notes for rule in file.rules] == notes


def test_comments_without_end_are_cut_with_a_warning() -> None:
    file = read_rules(f"# {'x' * 20_000}\n{HEAD}  - {{alert: A, expr: up}}\n".encode())

    assert len(file.rules[0].content.notes) == 16_384
    assert ["16384" in warning.message for warning in file.warnings] == [True]
