import pytest

from alertagent.kernel.urls import ServerUrl, split_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("REDIS://u:p@h:6379/0?a=b#c", ServerUrl("redis", "u:p@h:6379", "/0", "a=b")),
        ("redis+sentinel://one,[::1]:26379/main", ServerUrl("redis+sentinel", "one,[::1]:26379", "/main", "")),
        ("unix:///run/redis.sock", ServerUrl("unix", "", "/run/redis.sock", "")),
        ("localhost:6379", ServerUrl("localhost", "", "6379", "")),
        ("//h\n/x", ServerUrl("", "h\n", "/x", "")),
        ("", ServerUrl("", "", "", "")),
    ],
)
def test_any_text_has_the_parts_of_a_url(url: str, parts: ServerUrl) -> None:
    assert split_url(url) == parts
