import pytest

from alertagent.kernel.errors import Invalid, Permanent
from alertagent.plugins.addresses import AddressGuard, origin, parse_host, parse_url
from alertagent.plugins.transport import HttpRequest, Transport
from tests.support.names import Names
from tests.support.sink import Sink

PUBLIC = "93.184.216.34"

NAMES = {
    "public_test": [PUBLIC],
    "public6_test": ["2606:2800:220:1::1"],
    "mixed_test": [PUBLIC, "10.0.0.1"],
    "loop_test": ["127.0.0.1"],
    "metadata_test": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
}

FORBIDDEN = [
    "http://127.0.0.1/",
    "http://127.8.8.8:8080/x",
    "http://localhost/",
    "http://localhost./",
    "http://loop.test/",
    "http://metadata.test/latest/meta-data",
    "https://mixed.test/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data",
    "http://168.63.129.16/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://user:password@127.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[2002:7f00:1::]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::1]/",
]

MALFORMED = [
    "",
    "127.0.0.1",
    "//public.test/",
    "ftp://public.test/",
    "file:///etc/passwd",
    "gopher://public.test/",
    "javascript:alert(1)",
    "http:///path",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://[fe80::1%25eth0]/",
    "http://%31%32%37.0.0.1/",
    "http://public.test:0/",
    "http://public.test:99999/",
    "http://public.test:http/",
    "http://[::1/",
    "http://pub lic.test/",
    "http://public.test/\r\nHost: x",
    "http://pub\tlic.test/",
    "http://public..test/",
    "http://-public.test/",
    "http://public.test\\@127.0.0.1/",
    "http://public.test/" + "x" * 3000,
]


@pytest.fixture
def names() -> Names:
    return Names(**NAMES)


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_a_url_that_leads_inside_is_refused_and_the_setting_named(url: str, names: Names) -> None:
    with pytest.raises(Invalid, match=r"outgoing\.allow_networks") as caught:
        await AddressGuard(resolver=names).check_url(url, loc=("url",))

    assert caught.value.code == "outgoing.forbidden"
    assert caught.value.details[0].loc == ("url",)
    assert "password" not in caught.value.message


@pytest.mark.parametrize("url", MALFORMED)
async def test_a_url_that_is_none_is_refused(url: str, names: Names) -> None:
    with pytest.raises(Invalid) as caught:
        await AddressGuard(["0.0.0.0/0", "::/0"], resolver=names).check_url(url)

    assert caught.value.code == "outgoing.malformed"


@pytest.mark.parametrize("url", ["http://nowhere.test/token", "https://user:password@nowhere.test/"])
async def test_a_name_that_does_not_resolve_is_refused(url: str, names: Names) -> None:
    with pytest.raises(Invalid, match=r"^nowhere\.test does not resolve") as caught:
        await AddressGuard(resolver=names).check_url(url)

    assert caught.value.code == "outgoing.unresolvable"


async def test_the_systems_own_resolver_is_asked_by_default() -> None:
    with pytest.raises(Invalid) as caught:
        await AddressGuard().check_url("http://localhost/")

    assert caught.value.code == "outgoing.forbidden"


@pytest.mark.parametrize(
    "url",
    [
        "https://public.test/robot?access_token=x",
        "http://public6.test:8080/",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::808:808]/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
    ],
)
async def test_a_public_url_passes(url: str, names: Names) -> None:
    await AddressGuard(resolver=names).check_url(url)


@pytest.mark.parametrize(
    ("network", "url"),
    [
        ("127.0.0.0/8", "http://127.0.0.1:9093/"),
        ("127.0.0.0/8", "http://loop.test/"),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/"),
        ("10.0.0.1/32", "http://mixed.test/"),
        ("fd00::/8", "http://[fd00::1]/"),
        ("10.0.0.7/8", "http://10.1.1.1/"),
    ],
)
async def test_allowed_networks_are_open(network: str, url: str, names: Names) -> None:
    await AddressGuard([network], resolver=names).check_url(url)


async def test_a_stand_in_for_a_provider_must_be_in_an_allowed_network(names: Names) -> None:
    guard = AddressGuard(["127.0.0.0/8"], resolver=names)

    await guard.check_url("http://loop.test/", public=False)
    with pytest.raises(Invalid, match=r"not the provider's host.*outgoing\.allow_networks"):
        await guard.check_url("http://public.test/", public=False)


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_no_forbidden_url_is_ever_connected_to(url: str, names: Names) -> None:
    """The same table without the check at save time: a stored URL may be older than the setting."""
    names.addresses["mixed.test"] = ["10.0.0.1"]
    async with Transport(AddressGuard(resolver=names)) as transport:
        with pytest.raises(Permanent, match=r"outgoing\.allow_networks") as caught:
            await transport.send(HttpRequest(url=url))

    assert caught.value.code == "outgoing.forbidden"


async def test_a_name_that_changes_its_mind_after_the_check_is_refused(sink: Sink, names: Names) -> None:
    guard = AddressGuard(resolver=names)
    url = f"http://public.test:{sink.port}/"
    await guard.check_url(url)

    names.addresses["public.test"] = ["127.0.0.1"]
    async with Transport(guard) as transport:
        with pytest.raises(Permanent, match="not public"):
            await transport.send(HttpRequest(url=url))

    assert names.lookups == 2
    assert sink.requests == []


async def test_the_judged_address_is_the_one_connected_to(sink: Sink, names: Names) -> None:
    async with Transport(AddressGuard(["127.0.0.0/8"], resolver=names)) as transport:
        answer = await transport.send(HttpRequest(url=f"http://loop.test:{sink.port}/x"))

    assert answer.status == 200
    assert sink.requests[0].headers["Host"] == f"loop.test:{sink.port}"
    assert names.lookups == 1


async def test_every_address_of_a_name_is_judged(sink: Sink, names: Names) -> None:
    names.addresses["mixed.test"] = ["127.0.0.1", "127.0.0.2", "::1"]
    async with Transport(AddressGuard(resolver=names)) as transport:
        with pytest.raises(Permanent, match="not public"):
            await transport.send(HttpRequest(url=f"http://mixed.test:{sink.port}/"))

    assert sink.requests == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://oapi.dingtalk.com/robot/send?access_token=CANARY", "https://oapi.dingtalk.com"),
        ("http://user:CANARY@host:8080/CANARY#CANARY", "http://host:8080"),
        ("CANARY", "a malformed URL"),
        ("http://[CANARY", "a malformed URL"),
    ],
)
def test_only_the_origin_of_a_url_is_shown(url: str, shown: str) -> None:
    assert origin(url) == shown


def test_a_reason_never_repeats_the_url() -> None:
    for url in MALFORMED[1:]:
        with pytest.raises(ValueError, match=r"^(the|this)") as caught:
            parse_url(url)
        assert url not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_a_host_without_a_url_is_judged_alike() -> None:
    names = Names(mail_test=["10.0.0.1"])

    await AddressGuard(["10.0.0.0/8"], resolver=names).check_host("mail.test", 587)
    with pytest.raises(Invalid, match="not public") as caught:
        await AddressGuard(resolver=names).check_host("mail.test", 587, loc=("host",))

    assert caught.value.details[0].loc == ("host",)


@pytest.mark.parametrize("host", ["mail.example.org", "localhost", "192.0.2.1", "2001:db8::1"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert parse_host(host) == host


@pytest.mark.parametrize("host", ["", "a b", "http://a", "a/b", "2130706433", "0x7f.1", "fe80::1%eth0", "a\r\nb"])
def test_anything_else_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="no valid host"):
        parse_host(host)
