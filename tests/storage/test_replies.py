"""Replies kept for repeated requests."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from alertagent.storage.database import Database
from alertagent.storage.replies import CLAIM_LASTS, KEPT_FOR, StoredReplies, StoredReply

DIGEST = b"\x00digest\xff"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url) as database:
        yield database


@pytest.fixture
def replies(database: Database) -> StoredReplies:
    return StoredReplies(database)


async def age(database: Database, by: timedelta) -> None:
    await database.execute("UPDATE idempotent_replies SET created_at = created_at - $1::interval", by)


async def test_a_new_key_belongs_to_whoever_claims_it_first(replies: StoredReplies) -> None:
    assert await replies.claim("k", DIGEST) is None
    assert await replies.claim("k", b"other") == StoredReply(DIGEST, None, {}, b"")
    assert await replies.claim("another", DIGEST) is None


async def test_of_many_at_once_one_gets_the_key(replies: StoredReplies) -> None:
    claims = await asyncio.gather(*(replies.claim("k", DIGEST) for _ in range(20)))

    assert claims.count(None) == 1


async def test_a_kept_reply_comes_back_as_it_was(replies: StoredReplies) -> None:
    await replies.claim("k", DIGEST)
    await replies.keep("k", 201, {"ETag": '"1"'}, b"\x00\xffbody")

    assert await replies.claim("k", DIGEST) == StoredReply(DIGEST, 201, {"ETag": '"1"'}, b"\x00\xffbody")


async def test_a_released_key_is_free_again_and_a_kept_reply_is_not_released(replies: StoredReplies) -> None:
    await replies.claim("k", DIGEST)
    await replies.release("k")
    assert await replies.claim("k", b"other") is None

    await replies.keep("k", 200, {}, b"")
    await replies.release("k")
    assert await replies.claim("k", DIGEST) is not None


async def test_a_claim_whose_process_died_is_free_after_a_while(database: Database, replies: StoredReplies) -> None:
    await replies.claim("k", DIGEST)
    await age(database, CLAIM_LASTS - timedelta(seconds=10))
    assert await replies.claim("k", DIGEST) is not None

    await age(database, timedelta(seconds=20))
    assert await replies.claim("k", b"other") is None


async def test_a_reply_is_kept_for_its_time_and_then_replaced(database: Database, replies: StoredReplies) -> None:
    await replies.claim("k", DIGEST)
    await replies.keep("k", 200, {}, b"old")
    await age(database, KEPT_FOR - timedelta(minutes=1))
    assert await replies.claim("k", DIGEST) is not None

    await age(database, timedelta(minutes=2))
    assert await replies.claim("k", b"other") is None
    assert await replies.claim("k", b"third") == StoredReply(b"other", None, {}, b"")


async def test_only_old_replies_are_forgotten(database: Database, replies: StoredReplies) -> None:
    await replies.claim("old", DIGEST)
    await age(database, KEPT_FOR + timedelta(minutes=1))
    await replies.claim("young", DIGEST)

    await replies.forget_old()

    assert [row["key"] for row in await database.fetch("SELECT key FROM idempotent_replies")] == ["young"]
