"""What a group is called and who is in it, whatever comes or goes beside it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.groups import LIMIT, grouped
from alertagent.core.rules.model import GroupOptions, Kind, Rule
from tests.core.configs.samples import make_rule

PROMETHEUS, VMALERT = ConfigType.PROMETHEUS, ConfigType.VMALERT


def homes(rules: list[Rule], config_type: ConfigType = PROMETHEUS) -> dict[str, str]:
    """The group of each rule."""
    return {rule.id: name for name, members in grouped(rules, config_type).items() for rule in members}


def many(count: int, **content: Any) -> list[Rule]:
    return [make_rule(number, group="g", **content) for number in range(1, count + 1)]


def moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(after[id] != home for id, home in before.items() if id in after)


def test_no_group_has_more_rules_than_the_limit() -> None:
    for count in (LIMIT, LIMIT + 1, 1000, 10_000):
        groups = grouped(many(count), PROMETHEUS)

        assert max(map(len, groups.values())) <= LIMIT
        assert sum(map(len, groups.values())) == count


def test_a_group_that_grows_over_the_limit_keeps_the_rules_it_has() -> None:
    assert moved(homes(many(LIMIT)), homes(many(LIMIT + 1))) == 0


@pytest.mark.parametrize("count", [1, LIMIT - 1, LIMIT, LIMIT + 1, 300, 1500])
def test_adding_a_rule_moves_no_other(count: int) -> None:
    assert moved(homes(many(count)), homes(many(count + 1))) == 0


@given(count=st.integers(1, 700), gone=st.integers(1, 700))
def test_a_rule_that_goes_or_comes_back_moves_at_most_one_other(count: int, gone: int) -> None:
    rules = many(count)

    assert moved(homes([rule for rule in rules if rule.position != gone]), homes(rules)) <= 1


def test_a_group_with_a_recording_rule_is_left_whole() -> None:
    rules = [*many(500), make_rule(501, group="g", kind=Kind.RECORDING, record="a:b")]

    assert set(homes(rules).values()) == {"g"}


def test_a_part_never_takes_the_name_of_another_group() -> None:
    parts = set(homes(many(LIMIT + 50)).values()) - {"g"}
    named = [make_rule(1000 + number, group=name) for number, name in enumerate(sorted(parts))]

    together = homes([*many(LIMIT + 50), *named])

    assert {together[rule.id] for rule in named} == parts
    assert not parts & {together[rule.id] for rule in many(LIMIT + 50)}


def test_rules_that_want_other_options_form_a_group_beside() -> None:
    options = [GroupOptions(), GroupOptions(limit=5), GroupOptions(labels={"a": "b"}), GroupOptions(limit=5)]
    rules = [make_rule(number, group="g", group_options=each) for number, each in enumerate(options)]

    found = homes(rules)

    assert found["r0"] == "g"
    assert found["r1"] == found["r3"] != found["r2"]
    assert found["r1"].startswith("g/default-")


def test_options_that_a_type_never_knows_divide_no_group_of_it() -> None:
    rules = [
        make_rule(1, group="g"),
        make_rule(2, group="g", group_options=GroupOptions(concurrency=4)),
        make_rule(3, group="g", group_options=GroupOptions(query_offset=timedelta(minutes=1))),
    ]

    assert (homes(rules)["r2"], homes(rules, VMALERT)["r3"]) == ("g", "g")
    assert (homes(rules)["r3"] != "g", homes(rules, VMALERT)["r2"] != "g") == (True, True)


def test_groups_come_in_the_order_of_their_first_rules() -> None:
    rules = [make_rule(1, group="z"), make_rule(2, group="a"), make_rule(3, group="z"), make_rule(4, group="b")]

    assert list(grouped(rules, PROMETHEUS)) == ["z", "a", "b"]
