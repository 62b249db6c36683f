import base64
from typing import Any

import pytest

from alertagent.storage.sealing import Column, Form, Key, Keyring, Place, Unreadable, key_of, read_keys, write_key

SECRET = bytes(range(32))
KEY = Key.of(SECRET)
CONFIG = Column(table="channels", name="config", key=("id",))
HERE = CONFIG.at("c1")


def test_what_was_sealed_opens_in_its_place_and_looks_like_nothing() -> None:
    sealed = KEY.seal(b"CANARY", HERE)

    assert KEY.open(sealed, HERE) == b"CANARY"
    assert sealed.startswith(f"sealed.1.{KEY.id}.")
    assert key_of(sealed) == KEY.id
    assert "CANARY" not in sealed
    assert b"CANARY" not in base64.b64decode(sealed.rpartition(".")[2])


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert len({KEY.seal(b"CANARY", HERE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "elsewhere",
    [
        CONFIG.at("c2"),
        Column(table="analyzers", name="config", key=("id",)).at("c1"),
        Column(table="channels", name="other", key=("id",)).at("c1"),
        Column(table="channels", name="config", key=("id", "part")).at("c1", 1),
    ],
    ids=["row", "table", "column", "part"],
)
def test_elsewhere_it_does_not_open(elsewhere: Place) -> None:
    sealed = KEY.seal(b"CANARY", HERE)

    with pytest.raises(Unreadable, match="belongs to another row") as refusal:
        KEY.open(sealed, elsewhere)

    assert str(elsewhere) in refusal.value.message
    assert sealed not in refusal.value.message


def test_places_that_read_alike_are_not_the_same() -> None:
    pair = Column(table="t", name="c", key=("a", "b"))

    assert pair.at("x", "y").bound("") != pair.at("x,y", "").bound("")
    assert pair.at("1", 1).bound("") != pair.at("1", "1").bound("")


def test_every_changed_character_is_noticed() -> None:
    sealed = KEY.seal(b"CANARY", HERE)
    head = len(f"sealed.1.{KEY.id}.")

    for at in range(head, len(sealed)):
        for new in "A!=é":
            damaged = sealed[:at] + new + sealed[at + 1 :]
            if damaged != sealed:
                with pytest.raises(Unreadable):
                    KEY.open(damaged, HERE)


@pytest.mark.parametrize("left", range(0, 48, 5))
def test_what_was_cut_off_does_not_open(left: int) -> None:
    sealed = KEY.seal(b"CANARY", HERE)

    with pytest.raises(Unreadable):
        KEY.open(sealed[: len(f"sealed.1.{KEY.id}.") + left], HERE)


def test_another_key_of_the_same_id_opens_nothing() -> None:
    impostor = Key(KEY.id, Key.of(bytes(32)).cipher)

    with pytest.raises(Unreadable):
        impostor.open(KEY.seal(b"CANARY", HERE), HERE)


def test_the_id_of_a_key_is_steady_and_its_text_shows_no_key() -> None:
    assert KEY.id == Key.of(SECRET).id == "5a31192894ee"
    assert repr(KEY) == f"Key(id='{KEY.id}')"
    assert repr(Keyring.of([SECRET])) == f"Keyring(keys={{'{KEY.id}': {KEY!r}}})"


FORMS: list[tuple[Form, Any]] = [
    (Form.JSON, {"url": "https://x/?a=1", "headers": {"X": "通知"}, "n": None}),
    (Form.JSON, {}),
    (Form.TEXT, "route: {receiver: r}\n# 值班\r\n"),
    (Form.TEXT, ""),
    (Form.BYTES, b"alertmanager.yml\0\xff"),
    (Form.BYTES, b""),
]


@pytest.mark.parametrize(("form", "value"), FORMS)
def test_a_column_gets_back_what_it_held(form: Form, value: Any) -> None:
    column = Column(table="t", name="c", key=("id",), form=form)

    stored = column.stored(KEY.seal(column.plain(value), column.at("1")))
    sealed = column.sealed(stored)

    assert type(stored) is (bytes if form is Form.BYTES else str)
    assert sealed is not None
    assert column.value(KEY.open(sealed, column.at("1"))) == value
    assert column.sealed(value) is None


def test_keys_are_read_in_their_order() -> None:
    keyring = read_keys(f"# of March\n\n{write_key(SECRET)}\r\n  {write_key(bytes(32))}\n")

    assert list(keyring.keys) == [KEY.id, Key.of(bytes(32)).id]
    assert keyring.first.id == KEY.id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no key in it"),
        ("# nothing\n", "there is no key in it"),
        ("CANARY", "line 1 is not 32 bytes in base64"),
        (write_key(bytes(31)), "line 1 is not 32 bytes in base64"),
        (write_key(bytes(33)), "line 1 is not 32 bytes in base64"),
        (f"{write_key(SECRET)}\nCANARY CANARY", "line 2 is not 32 bytes in base64"),
        (write_key(SECRET)[:-1], "line 1 is not 32 bytes in base64"),
        ("ＣＡＮＡＲＹ", "line 1 is not 32 bytes in base64"),
    ],
)
def test_what_is_no_key_is_named_and_not_repeated(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        read_keys(text)

    assert "CANARY" not in str(refusal.value)
