from datetime import timedelta

import orjson

from alertagent.core.rules.model import Dialect, GroupOptions, Kind, RuleContent, revision_of, version_name


def test_versions_count_up_from_one() -> None:
    assert [version_name(revision) for revision in (1, 2, 11)] == ["v1.0.0", "v1.0.1", "v1.0.10"]


def test_the_severity_is_one_of_the_labels_that_a_target_gets() -> None:
    content = RuleContent(name="A", expression="up", labels={"team": "sre"}, annotations={}, severity="critical")

    assert content.all_labels == {"team": "sre", "severity": "critical"}


def test_a_document_writes_durations_as_prometheus_does() -> None:
    content = RuleContent(name="A", expression="up", labels={}, annotations={}, duration=timedelta(minutes=90))

    document = content.document()

    assert (document["duration"], document["keep_firing_for"], document["kind"]) == ("1h30m", None, "alerting")


def test_only_what_names_a_version_has_a_revision() -> None:
    assert [revision_of(version_name(revision)) for revision in (1, 2, 100)] == [1, 2, 100]
    for text in (
        "",
        "1",
        "v1",
        "v1.0",
        "v1.0.x",
        "v1.0.-1",
        "v1.0.01",
        "v1.1.0",
        " v1.0.0",
        "v1.0.0\n",
        "v1.0.9999999999",
    ):
        assert revision_of(text) is None, text


def test_what_a_document_says_comes_back_in_json_too() -> None:
    content = RuleContent(
        name="A",
        kind=Kind.RECORDING,
        record="a:b",
        dialect=Dialect.METRICSQL,
        expression="up",
        duration=timedelta(minutes=90),
        keep_firing_for=timedelta(0),
        interval=timedelta(milliseconds=1500),
        labels={"a": "b"},
        annotations={},
        targets=("c1", 'env="x"'),
        group_options=GroupOptions(
            limit=1, params={"a": ("b", "c")}, headers=("X: y",), eval_delay=timedelta(seconds=5)
        ),
        parameters={"n": "1"},
        debug=False,
        enabled=False,
    )

    assert RuleContent.of(orjson.loads(orjson.dumps(content.document()))) == content


def test_a_document_of_another_release_has_defaults_for_what_it_lacks_and_may_say_more() -> None:
    document = {"name": "A", "expression": "up", "labels": {}, "annotations": {}, "colour": "red"}

    assert RuleContent.of(document) == RuleContent(name="A", expression="up", labels={}, annotations={})
