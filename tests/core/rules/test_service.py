"""Rules against a real database: what one transaction writes, and what a concurrent one cannot undo."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from alertagent.app import Parts, Service
from alertagent.core.audit.model import Actor
from alertagent.core.rules.edits import checked, revised
from alertagent.core.rules.model import Rule, RuleContent
from alertagent.kernel.errors import Invalid, NotFound, Stale
from alertagent.storage.pages import PageRequest

ANNA = Actor(name="anna")


def make_content(**values: Any) -> RuleContent:
    return RuleContent(**{"name": "HostDown", "expression": "up == 0", "labels": {}, "annotations": {}, **values})


@pytest.fixture
async def parts(service: Service) -> Parts:
    return service.parts


async def tasks_of(parts: Parts, rule: Rule) -> list[str]:
    rows = await parts.database.fetch(
        "SELECT task_type FROM task_queue WHERE payload ->> 'rule_id' = $1 ORDER BY id", rule.id
    )
    return [row["task_type"] for row in rows]


async def count(parts: Parts, table: str) -> int:
    number: int = await parts.database.fetchval(f"SELECT count(*) FROM {table}")
    return number


async def test_a_new_rule_comes_with_its_version_its_audit_row_and_its_task(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content(targets=("c1",)), "because")

    version = await parts.database.fetchrow("SELECT * FROM alert_rule_versions WHERE rule_id = $1", rule.id)
    audit = await parts.database.fetchrow("SELECT * FROM audit_log WHERE subject_id = $1", rule.id)
    assert rule.version == "v1.0.0"
    assert version is not None
    assert (version["revision"], version["change"], version["comment"]) == (1, "created", "because")
    assert audit is not None
    assert (audit["actor"], audit["action"], audit["before"]) == ("anna", "rule.created", None)
    assert audit["after"]["expression"] == "up == 0"
    assert await tasks_of(parts, rule) == ["rule_create"]


async def test_revising_a_rule_counts_its_version_up_and_an_unchanged_one_stays(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content())

    changed = await parts.rules.revise(ANNA, rule.id, {"expression": "up == 1"}, None)
    again = await parts.rules.revise(ANNA, rule.id, {"expression": "up == 1"}, None)

    assert (changed.version, again.version) == ("v1.0.1", "v1.0.1")
    assert again.updated_at == changed.updated_at
    assert await tasks_of(parts, rule) == ["rule_create", "rule_update"]


async def test_a_change_tells_the_targets_that_the_rule_leaves_too(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content(targets=("old",)))

    await parts.rules.revise(ANNA, rule.id, {"targets": ("new",)}, None)

    payload = await parts.database.fetchval("SELECT payload FROM task_queue WHERE task_type = 'rule_update'")
    assert payload["targets"] == ["new", "old"]


async def test_the_versions_of_a_deleted_rule_stay(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content())

    await parts.rules.remove(ANNA, rule.id, None)

    rows = await parts.database.fetch("SELECT change FROM alert_rule_versions WHERE rule_id = $1 ORDER BY 1", rule.id)
    assert [row["change"] for row in rows] == ["created", "deleted"]
    assert await tasks_of(parts, rule) == ["rule_create", "rule_delete"]
    with pytest.raises(NotFound):
        await parts.rules.get(rule.id)


async def test_a_transaction_that_fails_leaves_nothing_behind(parts: Parts) -> None:
    await parts.database.execute("ALTER TABLE task_queue ADD CONSTRAINT closed CHECK (false) NOT VALID")
    tables = ("alert_rules", "alert_rule_versions", "audit_log", "task_queue")
    before = [await count(parts, table) for table in tables]
    generation = await parts.database.fetchval("SELECT generation FROM config_generation")

    with pytest.raises(Exception, match="closed"):
        await parts.rules.add(ANNA, make_content())

    assert [await count(parts, table) for table in tables] == before
    assert await parts.database.fetchval("SELECT generation FROM config_generation") == generation


async def test_a_stale_revision_is_refused(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content())
    await parts.rules.revise(ANNA, rule.id, {"expression": "up == 1"}, frozenset({1}))

    with pytest.raises(Stale, match=r"v1\.0\.1"):
        await parts.rules.revise(ANNA, rule.id, {"expression": "up == 2"}, frozenset({1}))
    with pytest.raises(Stale):
        await parts.rules.remove(ANNA, rule.id, frozenset({1}))


async def test_of_many_changes_at_once_none_is_lost(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content())

    await asyncio.gather(
        *(parts.rules.revise(ANNA, rule.id, {"annotations": {f"a{number}": "x"}}, None) for number in range(8)),
        *(parts.rules.revise(ANNA, rule.id, {"labels": {"team": "sre"}}, None) for _ in range(4)),
    )

    after = await parts.rules.get(rule.id)
    assert after.revision == 10
    assert after.content.labels == {"team": "sre"}
    assert await parts.database.fetchval("SELECT count(*) FROM alert_rule_versions WHERE rule_id = $1", rule.id) == 10


async def test_the_changes_of_a_rule_are_found_by_its_name_and_time(parts: Parts) -> None:
    rule = await parts.rules.add(ANNA, make_content(), "first")
    await parts.rules.revise(ANNA, rule.id, {"expression": "up == 1"}, None, "second")

    edits = await parts.rules.recently_changed("HostDown", rule.created_at, rule.created_at.replace(year=9000))
    nothing = await parts.rules.recently_changed("Other", rule.created_at, rule.created_at.replace(year=9000))

    assert [(edit.comment, edit.revision) for edit in edits] == [("second", 2), ("first", 1)]
    assert nothing == []


async def test_only_enabled_rules_are_rendered_in_the_order_in_which_they_were_made(parts: Parts) -> None:
    for name in ("b", "a", "c"):
        await parts.rules.add(ANNA, make_content(name=name, enabled=name != "c"))

    assert [rule.content.name for rule in await parts.rules.enabled()] == ["b", "a"]


async def test_everything_about_a_rule_survives_the_database(parts: Parts) -> None:
    content = checked(
        make_content(
            name='磁盘 "full" \\ \'',
            expression="up{a=`b`}\n  == 0",
            labels={"a": "", "b": "😀"},
            annotations={"summary": "x\ny"},
            targets=("c1", 'env="prod"'),
            severity="",
        )
    )

    rule = await parts.rules.add(ANNA, content)

    assert (await parts.rules.get(rule.id)).content == content
    page = await parts.rules.page(PageRequest(q='"full"'))
    assert [found.id for found in page.rules] == [rule.id]


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        # (severity, labels) before and after; None in `changes` has cleared the field already.
        ((None, {}), {"severity": "critical"}, ("critical", {})),
        ((None, {"severity": "critical"}), {}, ("critical", {"severity": "critical"})),
        (("critical", {"severity": "critical"}), {"severity": "warning"}, ("warning", {})),
        (("critical", {"severity": "critical"}), {"labels": {}}, (None, {})),
        (
            ("critical", {"severity": "critical"}),
            {"labels": {"severity": "warning"}},
            ("warning", {"severity": "warning"}),
        ),
        (("critical", {"severity": "critical", "a": "b"}), {"severity": None}, (None, {"a": "b"})),
        (("critical", {}), {"labels": {"a": "b"}}, ("critical", {"a": "b"})),
        (("critical", {}), {"severity": None}, (None, {})),
    ],
)
def test_severity_and_its_label_never_disagree(
    before: tuple[str | None, Mapping[str, str]],
    changes: Mapping[str, Any],
    after: tuple[str | None, Mapping[str, str]],
) -> None:
    content = checked(make_content(severity=before[0], labels=before[1]))

    result = checked(revised(content, changes))

    assert (result.severity, result.labels) == after


def test_a_severity_that_contradicts_its_label_is_refused() -> None:
    with pytest.raises(Invalid, match="severity"):
        checked(make_content(severity="critical", labels={"severity": "warning"}))
