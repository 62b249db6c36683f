import pytest

from alertagent.plugins.notifiers.headers import settable_header


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "x_y"])
def test_a_header_of_the_users_own_may_be_set(name: str) -> None:
    assert settable_header(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is not the name of a header"),
        ("X A", "is not the name of a header"),
        ("X-A:", "is not the name of a header"),
        ("X-A\r\nHost", "is not the name of a header"),
        ("x" * 101, "is not the name of a header"),
        ("HOST", "is set by AlertAgent"),
        ("Content-Length", "is set by AlertAgent"),
        ("Webhook-Id", "is set by AlertAgent"),
    ],
)
def test_what_would_break_a_request_may_not(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        settable_header(name)
