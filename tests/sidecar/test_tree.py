"""Any bytes are a tree or malformed; none takes the process down."""

from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.sidecar.tree import MAX_DEPTH, Malformed, parsed

trees = st.recursive(
    st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(trees)
def test_what_was_written_is_read(tree: object) -> None:
    assert parsed(yaml.safe_dump(tree).encode()) == tree


@given(st.binary(max_size=300))
def test_any_bytes_are_a_tree_or_malformed(noise: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(parsed(noise), dict | list | str)


def test_scalars_stay_texts() -> None:
    assert parsed(b"{a: on, b: 1e3, c: null, 12:30: ~}") == {"a": "on", "b": "1e3", "c": "null", "12:30": "~"}


@pytest.mark.parametrize("deep", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000])
def test_depth_is_capped_before_it_hurts(deep: bytes) -> None:
    with pytest.raises(Malformed, match=f"deeper than {MAX_DEPTH}"):
        parsed(deep)


def test_laughs_cost_nothing() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 60))]
    tree = parsed("\n".join(lines).encode())

    assert isinstance(tree, dict)
    assert len(tree) == 60


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"a: 1\n---\nb: 2\n", "line 2: a second document"),
        (b"a: *nobody\n", "names nothing"),
        (b"a: [1\nb: 2\n", "line 2, column"),
        (b"a: \x00\n", "."),
        (b"\xff\xfe\xfa", "."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parsed(text)


def test_no_message_holds_the_text_around_the_place() -> None:
    with pytest.raises(Malformed) as caught:
        parsed(b"password: geheim\n  bad: [\n")
    assert "geheim" not in str(caught.value)
