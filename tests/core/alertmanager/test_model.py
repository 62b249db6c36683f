"""Versions and their differences."""

import pytest

from alertagent.core.alertmanager.model import Texts, diff, revision_named


@pytest.mark.parametrize(
    ("name", "revision"), [("v1.0.0", 1), ("v1.0.41", 42), ("v2.0.0", 0), ("1.0.0", 0), ("v1.0.", 0)]
)
def test_a_version_names_a_revision(name: str, revision: int) -> None:
    assert revision_named(name) == revision


def test_a_diff_shows_every_file() -> None:
    before = Texts(config="a\nb\n", templates={"x.tmpl": "X\n", "same.tmpl": "S"})
    after = Texts(config="a\nc", templates={"y.tmpl": "Y\n", "same.tmpl": "S"})

    assert diff(before, after) == (
        "--- a/alertmanager.yml\n+++ b/alertmanager.yml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n"
        "--- a/templates/x.tmpl\n+++ /dev/null\n@@ -1 +0,0 @@\n-X\n"
        "--- /dev/null\n+++ b/templates/y.tmpl\n@@ -0,0 +1 @@\n+Y\n"
    )


def test_nothing_differs_from_itself() -> None:
    texts = Texts(config="a\n", templates={})

    assert diff(texts, texts) == ""
