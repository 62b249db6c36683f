from typing import Annotated

import pytest
from pydantic import SecretStr

from alertagent.kernel.errors import Detail, Invalid
from alertagent.plugins.config import (
    BaseUrl,
    PluginConfig,
    SecretHeader,
    SecretUrl,
    described,
    mask,
    merge,
    parse,
    secret_fields,
)
from alertagent.plugins.languages import Bilingual

CANARY = "CANARY-1"


class Settings(PluginConfig):
    hook: Annotated[
        SecretUrl,
        described(Bilingual(zh="地址", en="Hook"), Bilingual(zh="回调地址", en="Where to call"), secret=True),
    ]
    headers: Annotated[
        dict[str, SecretStr],
        described(Bilingual(zh="头", en="Headers"), Bilingual(zh="请求头", en="Request headers"), secret=True),
    ] = {}
    retries: Annotated[
        int, described(Bilingual(zh="次数", en="Retries"), Bilingual(zh="重试次数", en="How often"), ge=0)
    ] = 3


SECRETS = secret_fields(Settings)


def test_forms_get_both_languages_and_know_the_secrets() -> None:
    properties = Settings.model_json_schema()["properties"]

    assert properties["hook"]["title"] == "Hook"
    assert properties["hook"]["x-title"] == {"zh": "地址", "en": "Hook"}
    assert properties["hook"]["x-description"] == {"zh": "回调地址", "en": "Where to call"}
    assert properties["hook"]["writeOnly"] is True
    assert properties["hook"]["x-secret"] is True
    assert properties["retries"]["minimum"] == 0
    assert "x-secret" not in properties["retries"]
    assert {"hook", "headers"} == SECRETS


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        ({}, Detail(("hook",), "Field required")),
        ({"hook": f"ftp://x/{CANARY}"}, Detail(("hook",), "the URL must begin with http:// or https://")),
        ({"hook": f"https://{CANARY} x/"}, Detail(("hook",), "the URL has blanks or control characters in it")),
        ({"hook": "https://x", "hoook": CANARY}, Detail(("hoook",), "there is no such setting")),
        (
            {"hook": "https://x", "headers": {"A": 1}},
            Detail(("headers", "A"), "Input should be a valid string"),
        ),
        ({"hook": "https://x", "retries": -1}, Detail(("retries",), "Input should be greater than or equal to 0")),
    ],
)
def test_a_finding_has_its_place_and_no_value(raw: dict[str, object], finding: Detail) -> None:
    with pytest.raises(Invalid) as caught:
        parse(Settings, raw)

    assert caught.value.details == (finding,)
    assert caught.value.code == "config.invalid"
    assert ".".join(map(str, finding.loc)) in caught.value.message
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_of_very_many_findings_the_first_are_told() -> None:
    with pytest.raises(Invalid) as caught:
        parse(Settings, {"hook": "https://x"} | {f"unknown{number}": 1 for number in range(5000)})

    assert len(caught.value.details) == 20
    assert caught.value.message.endswith("unknown19: there is no such setting (and 4980 more)")


def test_settings_that_are_no_object_are_refused() -> None:
    with pytest.raises(Invalid, match="configuration is not valid"):
        parse(Settings, ["hook"])


def test_a_parsed_secret_does_not_show() -> None:
    assert CANARY not in repr(parse(Settings, {"hook": f"https://x/{CANARY}", "headers": {"A": CANARY}}))


def test_every_secret_is_masked_and_nothing_else() -> None:
    raw = {"hook": "https://x", "headers": {"Authorization": CANARY}, "retries": 1}

    assert mask(raw, SECRETS) == {"hook": "***", "headers": {"Authorization": "***"}, "retries": 1}
    assert mask({"hook": None}, SECRETS) == {"hook": None}


def test_a_mask_sent_back_keeps_the_stored_secret() -> None:
    stored = {"hook": "https://old", "headers": {"A": "1", "B": "2"}, "retries": 1}
    sent = {"hook": "***", "headers": {"A": "***", "C": "3"}, "retries": 5}

    assert merge(sent, stored, SECRETS) == {"hook": "https://old", "headers": {"A": "1", "C": "3"}, "retries": 5}


def test_a_new_secret_replaces_the_stored_one() -> None:
    assert merge({"hook": "https://new"}, {"hook": "https://old"}, SECRETS) == {"hook": "https://new"}


@pytest.mark.parametrize(("sent", "loc"), [({"hook": "***"}, ("hook",)), ({"headers": {"A": "***"}}, ("headers", "A"))])
def test_a_mask_without_a_stored_secret_is_refused(sent: dict[str, object], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        merge(sent, {}, SECRETS)

    assert caught.value.details[0].loc == loc


class Provider(PluginConfig):
    base_url: BaseUrl = "https://api.example"
    key: Annotated[SecretHeader | None, described(Bilingual(zh="", en=""), Bilingual(zh="", en=""), secret=True)] = None


@pytest.mark.parametrize("address", ["base_url", "host", "url", "webhook_url"])
def test_a_stored_secret_is_not_sent_to_another_address(address: str) -> None:
    stored = {address: "https://ours", "token": "t", "headers": {"A": "1"}}
    secrets = {"token", "headers"}

    with pytest.raises(Invalid, match="when the address changes") as refused:
        merge({address: "https://theirs", "token": "***"}, stored, secrets)
    with pytest.raises(Invalid, match="when the address changes"):
        merge({address: "https://theirs", "headers": {"A": "***"}}, stored, secrets)

    assert [detail.loc for detail in refused.value.details] == [("token",)]
    again = {address: "https://theirs", "token": "t", "headers": {"A": "1"}}
    assert merge(again, stored, secrets) == again
    assert merge({address: "https://ours", "token": "***"}, stored, secrets)["token"] == "t"
    assert merge({"token": "***"}, stored, secrets)["token"] == "t"


def test_a_base_url_loses_its_last_slash_and_has_its_words() -> None:
    assert parse(Provider, {"base_url": "https://eu.api.example/v2/"}).base_url == "https://eu.api.example/v2"
    assert Provider.model_json_schema()["properties"]["base_url"]["x-title"]["en"] == "Base URL"


@pytest.mark.parametrize(
    "url", ["api.example", "https://a.example/?k=CANARY", "https://a.example/#CANARY", "https://u:CANARY@a.example"]
)
def test_a_base_url_holds_nothing_but_an_address(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(Provider, {"base_url": url})

    assert "CANARY" not in caught.value.message


@pytest.mark.parametrize("value", ["", " ", "a\r\nb", "CANARY\x00", "密钥", "x" * 4097, " x", "x "])
def test_what_no_header_can_hold_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match="no header can hold it") as caught:
        parse(Provider, {"key": value})

    assert "CANARY" not in caught.value.message


@pytest.mark.parametrize("value", ["x", "Bearer a b", "x" * 4096])
def test_what_a_header_can_hold_is_kept(value: str) -> None:
    found = parse(Provider, {"key": value}).key

    assert found is not None
    assert found.get_secret_value() == value
