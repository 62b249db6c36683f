"""Template files, their paths, and the archive in which they travel."""

import io
import tarfile

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alertmanager.bundle import MAIN, bundled, rendered
from alertagent.core.alertmanager.templates import directory_of
from tests.core.alertmanager.samples import SHOP, SHOP_TEMPLATES

TWO = {"a.tmpl": "A", "b.tmpl": "B"}
A, B = (f"{directory_of(TWO)}/{name}" for name in sorted(TWO))


def entries(text: str, templates: dict[str, str]) -> list[str]:
    found: list[str] = yaml.safe_load(rendered(text, templates))["templates"]
    return found


def test_nothing_but_the_entry_changes() -> None:
    path = f"{directory_of(SHOP_TEMPLATES)}/shop.tmpl"

    assert rendered(SHOP, SHOP_TEMPLATES).decode() == SHOP.replace("- 'shop.tmpl'\n", f"- {path}\n")


def test_without_templates_not_a_byte_changes() -> None:
    text = SHOP.replace("\n", "\r\n")

    assert rendered(text, {}) == text.encode()


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("['*.tmpl']", [A, B]),
        ("\n- '*.tmpl'", [A, B]),
        ("\n  - /etc/old/b.tmpl   # b\n  - '*.tmpl'\n  - /etc/kept.tmpl", [B, A, "/etc/kept.tmpl"]),
        ('[a.tmpl, /x/*.html, "dir/b.tmpl"]', [A, "/x/*.html", B]),
        ("[a.tmpl, '*', b.tmpl]", [A, B, B]),
        ("['[ab].tmpl']", [A, B]),
    ],
)
def test_entries_become_the_paths_of_the_templates_that_they_name(listed: str, found: list[str]) -> None:
    assert entries(f"templates: {listed}\nroute: {{receiver: r}}\n", TWO) == found


@given(
    st.dictionaries(st.text("ab.", min_size=1), st.text(max_size=5), max_size=3),
    st.dictionaries(st.text("ab.", min_size=1), st.text(max_size=5), max_size=3),
)
def test_only_the_same_set_of_templates_has_the_same_directory(one: dict[str, str], other: dict[str, str]) -> None:
    assert (directory_of(one) == directory_of(other)) == (one == other)


def test_a_bundle_is_the_same_however_its_templates_came() -> None:
    assert bundled(b"x", TWO) == bundled(b"x", dict(reversed(TWO.items())))


def test_a_bundle_holds_the_configuration_and_its_templates_without_times_and_owners() -> None:
    with tarfile.open(fileobj=io.BytesIO(bundled(b"x", TWO))) as tar:
        members = tar.getmembers()
        files = {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in members}

    assert files == {MAIN: b"x", A: b"A", B: b"B"}
    assert [member.name for member in members] == sorted(files)
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
        (0, 0, 0, "", 0o644)
    }
