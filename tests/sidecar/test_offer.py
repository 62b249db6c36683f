"""What was announced arrived, or nothing did."""

import pytest

from alertagent.sidecar.content import Content
from alertagent.sidecar.model import Discarded, Version, digest
from alertagent.sidecar.offer import Offer
from tests.sidecar.stands import bundle, files_of

BODY = "规则: []\n".encode()


@pytest.mark.parametrize("etag", [None, f'"{digest(BODY)}"', f'W/"{digest(BODY)}"'])
def test_a_body_with_its_hash_is_an_offer(etag: str | None) -> None:
    offer = Offer.verified(BODY, announced=digest(BODY), etag=etag)

    assert offer == Offer(digest(BODY), Content(BODY))
    assert offer.version == Version(served=digest(BODY), disk=digest(BODY))


def test_a_bundle_is_unpacked_and_known_by_the_hash_of_its_tar() -> None:
    body = bundle("First")
    offer = Offer.verified(body, announced=digest(body), etag=None)

    assert {"": offer.content.main} | dict(offer.content.templates) == files_of(body)
    assert offer.version == Version(served=digest(body), disk=offer.content.digest)


@pytest.mark.parametrize(
    ("body", "announced", "etag", "reason"),
    [
        (BODY, None, None, "X-Config-Hash"),
        (BODY[:-1], digest(BODY), None, "announced hash"),
        (b"", digest(BODY), None, "announced hash"),
        (b"", digest(b""), None, "empty"),
        (BODY, digest(BODY), '"other"', "differ"),
        (BODY[1:], digest(BODY[1:]), None, "UTF-8"),
    ],
)
def test_anything_else_is_discarded(body: bytes, announced: str | None, etag: str | None, reason: str) -> None:
    with pytest.raises(Discarded, match=reason):
        Offer.verified(body, announced=announced, etag=etag)
