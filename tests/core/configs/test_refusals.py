"""Which rule a checker means: in the real words of the tools of this machine, and in those of newer ones."""

import subprocess
from pathlib import Path

import pytest

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.refusals import named
from alertagent.core.configs.render import render
from alertagent.core.rules.model import Rule
from tests.core.configs.samples import make_cluster, make_rule

LAYOUT = {"g": ("r1", "r2", "r3"), 'say "hi"': ("r4",)}
NAMES = {"r1": "Same", "r2": "Same", "r3": "Other", "r4": 'On "4"'}
BODY = b"""groups:
- name: g
  rules:
  - alert: Same
    expr: up
  # a note
  - record: Same
    expr: up
    keep_firing_for: 5m
  - alert: Other
    expr: |-
      - name: x
      - alert: y
- name: 'say "hi"'
  limit: 3
  rules:
  - alert: 'On "4"'
    expr: up
"""


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ('promtool: FAILED: the file: 7:1: group "g", rule 2, "Same": no good', {"r2": "no good"}),
        (
            'the file: group "g", rule 1, "Same": a the file: group "say \\"hi\\"", rule 1, "On \\"4\\"": b: c',
            {"r1": "a", "r4": "b: c"},
        ),
        ('group "g", rule 0, "Same": no', {}),
        ('group "g", rule 4, "Same": no', {}),
        ('group "h", rule 1, "Same": no', {}),
        ("yaml: unmarshal errors: line 9: field keep_firing_for not found in type rulefmt.RuleNode",
         {"r2": "field keep_firing_for not found in type rulefmt.RuleNode"}),
        ("line 15: field limit not found", {}),
        ("line 2: field x not found", {}),
        ("line 13: a line 5: b", {"r1": "b", "r3": "a"}),
        ('invalid group "g" in file "f": invalid expression for rule "g"."Other": bad',
         {"r3": 'invalid expression for rule "g"."Other": bad'}),
        ('invalid group "g" in file "f": invalid annotations for rule  "Other": bad',
         {"r3": 'invalid annotations for rule  "Other": bad'}),
        ('invalid group "g" in file "f": invalid rule "Same": which of both?', {}),
        ("", {}),
    ],
)  # fmt: skip
def test_only_what_leads_to_one_rule_counts(message: str, found: dict[str, str]) -> None:
    assert named(message, BODY, LAYOUT, NAMES) == found


BROKEN = [
    make_rule(1, expression="up >"),
    make_rule(1, annotations={"a": "{{ $nope }}"}),
    make_rule(1, labels={"a": "{{ nope }}"}),
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("config_type", [ConfigType.PROMETHEUS, ConfigType.VMALERT])
def test_the_real_tools_are_understood(broken: Rule, config_type: ConfigType, tmp_path: Path) -> None:
    rules = [make_rule(0), broken, make_rule(2), make_rule(3, group="other")]
    rendered = render(make_cluster(), config_type, rules)
    path = tmp_path / "rules.yml"
    path.write_bytes(rendered.body)
    promtool = ["/usr/bin/promtool", "check", "rules", str(path)]
    vmalert = ["/usr/bin/vmalert", "-dryRun", f"-rule={path}"]
    command = promtool if config_type is ConfigType.PROMETHEUS else vmalert

    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout

    words = " ".join(said.replace(str(path), "the file").split())
    names = {rule.id: rule.content.name for rule in rules}
    assert set(named(words, rendered.body, rendered.layout, names)) == {"r1"}
