"""Secrets go out as masks, and masks come back as the secrets that they stand for."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alertmanager.secrets import mask_of, masked, unmasked
from tests.core.alertmanager.samples import SHOP, SHOP_SECRETS, with_receiver

KEY = b"a key of this cluster"


def test_no_secret_is_shown_and_all_else_is() -> None:
    shown = masked(SHOP, KEY)

    assert not any(secret in shown for secret in SHOP_SECRETS)
    assert len(re.findall(r"'\*{3}[0-9a-f]{8}'", shown)) == len(SHOP_SECRETS)
    assert "# rotated in May" in shown


def test_what_was_read_and_sent_back_is_what_was_stored() -> None:
    assert unmasked(masked(SHOP, KEY), SHOP, KEY) == (SHOP, [])


def test_a_secret_that_was_moved_where_its_own_style_means_something_else_is_quoted() -> None:
    stored = with_receiver("pagerduty_configs:\n- routing_key: |\n    a\n    b\n- routing_key: x, y\n")
    one, two = (mask_of(value, KEY) for value in ("a\nb\n", "x, y"))

    text, unknown = unmasked(
        with_receiver(f"pagerduty_configs: [{{routing_key: '{two}'}}, {{routing_key: '{one}'}}]"), stored, KEY
    )

    assert unknown == []
    assert text == with_receiver('pagerduty_configs: [{routing_key: "x, y"}, {routing_key: "a\\nb\\n"}]')


def test_masks_find_their_secrets_wherever_they_stand_now() -> None:
    one, two = "{api_url: https://x.example/one}", "{api_url: https://x.example/two}"
    stored = with_receiver(f"slack_configs: [{one}, {two}]")
    first, second = (f"{{api_url: '{mask_of(f'https://x.example/{name}', KEY)}'}}" for name in ("one", "two"))

    text, unknown = unmasked(with_receiver(f"slack_configs: [{second}, {first}, {first}]"), stored, KEY)

    assert unknown == []
    assert text == with_receiver(f"slack_configs: [{two}, {one}, {one}]")


@pytest.mark.parametrize("mask", ["***", "***00000000", mask_of("R0UTING-KEY", b"the key of another cluster")])
def test_a_mask_of_nothing_stored_is_refused(mask: str) -> None:
    text = with_receiver(f"slack_configs: [{{api_url: '{mask}'}}]")

    assert [loc for loc, _ in unmasked(text, SHOP, KEY)[1]] == [("receivers", 0, "slack_configs", 0, "api_url")]
    assert unmasked(text, None, KEY)[0] == text


def test_a_mask_outside_of_a_secret_field_is_a_text() -> None:
    """Else anybody could have a secret sent to himself in a message."""
    text = with_receiver(f"slack_configs: [{{api_url: http://x/, text: '{mask_of('R0UTING-KEY', KEY)}'}}]")

    assert unmasked(text, SHOP, KEY) == (text, [])


def test_what_alertmanager_itself_shows_for_a_secret_is_none() -> None:
    text = with_receiver("slack_configs: [{api_url: <secret>}]")

    assert masked(text, KEY) == text


def test_an_anchor_stays_when_its_secret_is_masked() -> None:
    text = with_receiver("slack_configs:\n- api_url: &u http://x.example/y\n- api_url: *u\n")

    shown = masked(text, KEY)

    assert "&u '***" in shown
    assert unmasked(shown, text, KEY) == (text, [])


def test_a_password_in_a_url_is_a_secret() -> None:
    text = with_receiver("webhook_configs: [{url: http://x/, http_config: {proxy_url: 'http://me:CANARY@proxy/'}}]")

    assert "CANARY" not in masked(text, KEY)


def test_all_of_a_section_that_nobody_knows_is_secret() -> None:
    text = with_receiver("webhook_configs: []\n") + "event_recorder: {outputs: [{kafka: {sasl: CANARY}}]}\n"

    assert "CANARY" not in masked(text, KEY)


def test_broken_yaml_is_left_to_the_judge() -> None:
    assert unmasked("a: [", SHOP, KEY) == ("a: [", [])


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), min_size=1),
        min_size=1,
    )
)
def test_any_secret_is_masked_and_comes_back(values: list[str]) -> None:
    document = {
        "route": {"receiver": "r"},
        "receivers": [{"name": "r", "pagerduty_configs": [{"routing_key": value} for value in values]}],
    }
    text = yaml.safe_dump(document, allow_unicode=True)

    shown = yaml.safe_load(masked(text, KEY))["receivers"][0]["pagerduty_configs"]
    back = unmasked(masked(text, KEY), text, KEY)[0]

    assert [entry["routing_key"] for entry in shown] == [mask_of(value, KEY) for value in values]
    assert back == text
