from datetime import timedelta

from alertagent.core.rules.model import RuleContent, version_name


def test_versions_count_up_from_one() -> None:
    assert [version_name(revision) for revision in (1, 2, 11)] == ["v1.0.0", "v1.0.1", "v1.0.10"]


def test_the_severity_is_one_of_the_labels_that_a_target_gets() -> None:
    content = RuleContent(name="A", expression="up", labels={"team": "sre"}, annotations={}, severity="critical")

    assert content.all_labels == {"team": "sre", "severity": "critical"}


def test_a_document_writes_durations_as_prometheus_does() -> None:
    content = RuleContent(name="A", expression="up", labels={}, annotations={}, duration=timedelta(minutes=90))

    document = content.document()

    assert (document["duration"], document["keep_firing_for"], document["kind"]) == ("1h30m", None, "alerting")
