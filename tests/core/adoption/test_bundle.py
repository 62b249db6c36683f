"""The tar of a sidecar: read as it packs it, and refused with the file in question where it is anything else."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.adoption.bundle import unpacked
from alertagent.core.alertmanager.model import MAX_TEMPLATE, MAX_TEMPLATES
from alertagent.kernel.errors import Invalid
from alertagent.sidecar.bundle import packed
from alertagent.sidecar.content import Content

HOME = f"alertagent-templates/{'0' * 16}"
MAIN = b"route: {receiver: r}\n"


def tar_of(*files: tuple[str, bytes], type: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(body), type
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


@given(
    st.text(max_size=50).filter(lambda text: "\0" not in text),
    st.dictionaries(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True), st.just("{{ 1 }}"), min_size=1),
)
def test_what_a_sidecar_packs_is_read_whole(config: str, templates: dict[str, str]) -> None:
    templates.pop("alertmanager.yml", None)
    files = {f"{HOME}/{name}": text.encode() for name, text in templates.items()}
    main = config.encode()
    texts = unpacked(packed(Content(main, files)) if files else tar_of(("alertmanager.yml", main)))

    assert (texts.config, texts.templates) == (config, templates)


BAD = {
    "no tar": (b"route: {}\n", "no proper tar"),
    "half a header": (tar_of(("alertmanager.yml", MAIN))[:300], "no proper tar"),
    "a broken checksum": (tar_of(("alertmanager.yml", MAIN)).replace(b"alert", b"blurt", 1), "no proper tar"),
    "no configuration": (tar_of((f"{HOME}/a", b"")), "'alertmanager.yml' is missing"),
    "another path": (
        tar_of(("alertmanager.yml", MAIN), ("../../passwd", b"")),
        "'../../passwd' is in no place",
    ),
    "a deeper path": (tar_of(("alertmanager.yml", MAIN), (f"{HOME}/a/b", b"")), "is in no place"),
    "a second configuration": (tar_of(("alertmanager.yml", MAIN), (f"{HOME}/alertmanager.yml", b"")), "in no place"),
    "a link": (tar_of(("alertmanager.yml", b""), type=tarfile.SYMTYPE), "is no plain file"),
    "a name twice": (tar_of((f"{HOME}/a", b""), (f"alertagent-templates/{'1' * 16}/a", b"")), "'a' stands in the tar"),
    "no UTF-8": (
        tar_of(("alertmanager.yml", b"\xff")),
        "'alertmanager.yml' is not UTF-8",
    ),
    "a NUL": (tar_of(("alertmanager.yml", MAIN), (f"{HOME}/a", b"\0")), "'a' holds the character U+0000"),
    "a long template": (tar_of((f"{HOME}/a", b"x" * (MAX_TEMPLATE + 1))), "'a' is longer than the 262,144 characters"),
    "many templates": (
        tar_of(("alertmanager.yml", MAIN), *((f"{HOME}/{number}", b"") for number in range(MAX_TEMPLATES + 1))),
        "'100' is one too many",
    ),
    "a name that is no text": (tar_of(("alertmanager.yml", MAIN), ("\udcff", b"")), "is in no place"),
}


@pytest.mark.parametrize("what", BAD)
def test_anything_else_is_refused_with_its_name(what: str) -> None:
    body, words = BAD[what]

    with pytest.raises(Invalid) as caught:
        unpacked(body)

    assert words in caught.value.message
    assert caught.value.code == "adopt.bundle_invalid"
    assert all(str(part).encode() for detail in caught.value.details for part in detail.loc)


def test_headers_without_end_are_refused() -> None:
    """Each would be read by a call inside the one before."""
    header = tarfile.TarInfo("x").create_pax_global_header({"comment": "x"})

    with pytest.raises(Invalid):
        unpacked(header * 5000)


@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_no_bytes_bring_it_down(noise: bytes, at: int) -> None:
    good = bytearray(tar_of(("alertmanager.yml", MAIN), (f"{HOME}/{'a' * 99}", b"x")))
    good[at : at + len(noise)] = noise

    with suppress(Invalid):
        assert "\0" not in unpacked(bytes(good)).config
