"""Nothing in a bundle reaches a place of its own choosing, whoever made it."""

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.sidecar import bundle
from alertagent.sidecar.bundle import is_tar, packed, unpacked
from alertagent.sidecar.content import Content
from alertagent.sidecar.model import Discarded
from tests.sidecar.stands import tar_of

DIRECTORY = "alertagent-templates/0123456789abcdef"
MAIN = f"templates: ['{DIRECTORY}/*.tmpl']\n".encode()
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)


def member(name: str, *, size: int = 0, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def tar_with(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        main = tarfile.TarInfo("alertmanager.yml")
        main.size = len(MAIN)
        tar.addfile(main, io.BytesIO(MAIN))
        for one in members:
            tar.addfile(one, io.BytesIO(b"x" * one.size))
    return buffer.getvalue()


@given(st.dictionaries(names, st.binary(max_size=2000), max_size=5))
def test_what_is_packed_is_unpacked_again(templates: dict[str, bytes]) -> None:
    content = Content(MAIN, {f"{DIRECTORY}/{name}": body for name, body in templates.items()})

    assert unpacked(packed(content)) == content
    assert packed(content) == packed(Content(MAIN, dict(reversed(list(content.templates.items())))))


def test_a_plain_file_stays_what_it_is() -> None:
    assert packed(Content(MAIN)) == MAIN
    assert unpacked(MAIN) == Content(MAIN)


def test_yaml_that_speaks_of_tars_is_none() -> None:
    assert not is_tar(b"#" * 257 + b"ustar" + b"#" * 1000)


def test_templates_that_nobody_names_are_left_out() -> None:
    other = "alertagent-templates/ffffffffffffffff/x.tmpl"
    found = unpacked(tar_of({"alertmanager.yml": MAIN, f"{DIRECTORY}/x.tmpl": b"x", other: b"y"}))

    assert found == Content(MAIN, {f"{DIRECTORY}/x.tmpl": b"x"})


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x.tmpl",
        f"{DIRECTORY}/../x.tmpl",
        f"{DIRECTORY}/.hidden",
        f"{DIRECTORY}/a/b.tmpl",
        f"./{DIRECTORY}/x.tmpl",
        "alertagent-templates/x.tmpl",
        "alertagent-templates/0123456789ABCDEF/x.tmpl",
        "prometheus.yml",
        f"{DIRECTORY}/{'a' * 101}",
        f"{DIRECTORY}/x.tmpl\n",
    ],
)
def test_a_member_of_another_name_spoils_the_bundle(name: str) -> None:
    with pytest.raises(Discarded, match="no place for a template"):
        unpacked(tar_with(member(name)))


@pytest.mark.parametrize(
    "type",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_only_plain_files_are_taken(type: bytes) -> None:
    with pytest.raises(Discarded, match="no plain file"):
        unpacked(tar_with(member(f"{DIRECTORY}/x.tmpl", type=type, linkname="/etc/passwd")))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tar_with(member(f"{DIRECTORY}/x"), member(f"{DIRECTORY}/x")), "twice"),
        (lambda: tar_with(member("alertmanager.yml")), "twice"),
        (lambda: tar_with(*(member(f"{DIRECTORY}/{number}") for number in range(bundle.MAX_FILES))), "more than"),
        (lambda: tar_with(member(f"{DIRECTORY}/x", size=bundle.MAX_FILE + 1)), "larger"),
        (lambda: tar_of({f"{DIRECTORY}/x": b""}), "no alertmanager.yml"),
        (lambda: tar_with(member(f"{DIRECTORY}/x", size=5000))[:3000], "no proper tar"),
    ],
)
def test_what_else_spoils_a_bundle(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(Discarded, match=words):
        unpacked(make())


@given(st.integers(0, 4000), st.integers(0, 255), st.integers(600, 10_000))
def test_a_damaged_bundle_is_content_or_discarded(place: int, value: int, length: int) -> None:
    whole = bytearray(tar_with(member(f"{DIRECTORY}/x.tmpl", size=700), member(f"{DIRECTORY}/{'y' * 100}", size=3)))
    whole[place % len(whole)] = value
    try:
        found = unpacked(bytes(whole[:length]))
    except Discarded:
        return
    assert set(found.templates) <= {f"{DIRECTORY}/x.tmpl", f"{DIRECTORY}/{'y' * 100}"} or not is_tar(bytes(whole))


@given(st.binary(min_size=300, max_size=3000))
def test_any_bytes_are_content_or_discarded(noise: bytes) -> None:
    body = b"alertmanager.yml\0" + noise[17:257] + b"ustar" + noise
    try:
        unpacked(body)
    except Discarded:
        return
