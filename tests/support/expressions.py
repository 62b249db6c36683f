"""Expressions as people write them and worse, and values of the same letters."""

import itertools

from hypothesis import strategies as st

_LETTERS = ["a", "b", "_", "%", ".", "\\", "é"]
_PLAIN = ["a", "b", "_", "%", r"\.", r"\\", "é", "[.]", ".", ".*", ".+", ".*?"]
_OTHERS = [".?", ".{2}", "a*", "b?", "é{1,2}", "[ab]", "[^a]"]

VALUES = ["".join(letters) for length in range(4) for letters in itertools.product(_LETTERS, repeat=length)]


def _alternatives(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, min_size=1, max_size=3).map("|".join)


def _sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, min_size=1, max_size=3).map("".join)


_PLAIN_TEXTS = _sequences(st.sampled_from(_PLAIN))
_GROUPS = st.builds(
    "({}{}){}".format, st.sampled_from(["", "?:"]), _alternatives(_PLAIN_TEXTS), st.sampled_from(["", "+"])
)
_TEXTS = _sequences(st.one_of(_PLAIN_TEXTS, _GROUPS, st.sampled_from(_OTHERS)))

EXPRESSIONS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "^", "(?i)"]),
    st.one_of(
        _PLAIN_TEXTS,
        _alternatives(_PLAIN_TEXTS),
        st.builds("{}{}".format, _PLAIN_TEXTS, st.sampled_from(_OTHERS)),
        _TEXTS,
        _alternatives(_TEXTS),
    ),
    st.sampled_from(["", "$"]),
)
