"""Which addresses AlertAgent may call: the guard against server-side request forgery.

Names and spellings prove nothing (`2130706433`, `0x7f.1` and a public name can all lead to 127.0.0.1, and a
second look-up may answer differently from the first). So what is judged is the resolved address of every
single connection, in the moment its socket is made: the address that was judged is the address connected to.
Checking a URL when it is saved is a courtesy to its author, not the protection.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohappyeyeballs import start_connection
from aiohttp import AddrInfoType, TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver
from yarl import URL

from alertagent.kernel.errors import Detail, Invalid

SETTING = "outgoing.allow_networks"
MAX_URL = 2048

# The special-purpose registries of IANA (RFC 6890), written out because `ipaddress.is_global` has changed its
# mind between Python releases and calls multicast global.
_SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # public by number, yet the host agent of every Azure machine
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")
# 2001::/23 has Teredo in it, whose packets end at an IPv4 address that cannot be relied on: never public.
_SPECIAL_IPV6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")

_HOST_NAME = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
# The C library reads a name that ends like this as an IPv4 address in an old spelling.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?")


# How long the next address of a name waits for the one before it, in seconds: RFC 8305, section 8.
_NEXT_ADDRESS_AFTER = 0.25


class Unresolvable(OSError):
    """A name without an address."""


class ForbiddenAddress(OSError):
    """A connection that the guard does not let happen. An OSError, because aiohttp passes those on whole."""


@lru_cache(maxsize=1024)  # each message asks for the same ones
def parse_url(url: str) -> URL:
    """Read a URL that may be called. Raises ValueError with a reason that never repeats the URL: it may be secret."""
    if len(url) > MAX_URL:
        raise ValueError(f"the URL is longer than {MAX_URL} characters")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("the URL has blanks or control characters in it")
    try:
        parsed = URL(url)
        port = parsed.port
    except ValueError:
        raise ValueError("this is not a URL") from None  # its text repeats the URL
    if parsed.scheme not in {"http", "https"}:
        raise ValueError("the URL must begin with http:// or https://")
    if not _is_host(parsed.raw_host or ""):
        raise ValueError("the URL has no valid host; write a name, 192.0.2.1 or [2001:db8::1]")
    if port == 0:
        raise ValueError("the URL has no valid port")
    return parsed


def parse_host(host: str) -> str:
    """Read the name or the address of a host that may be called. Raises ValueError."""
    if not _is_host(host):
        raise ValueError("this is no valid host; write a name, 192.0.2.1 or 2001:db8::1")
    return host


def _is_host(host: str) -> bool:
    try:
        return "%" not in str(ip_address(host))
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None and _NUMERIC_END.fullmatch(host) is None


def origin(url: str) -> str:
    """What of a URL may be logged or shown: `https://host:port`. Its path, query and user part may be secret."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return "a malformed URL"


class AddressGuard:
    """Judges addresses: public ones are allowed, others only inside `allow_networks`.

    `resolver` answers the look-ups of both the check at save time and the connector; the system's by default.
    """

    def __init__(
        self,
        allow_networks: Iterable[str | IPv4Network | IPv6Network] = (),
        *,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allowed = tuple(ip_network(network, strict=False) for network in allow_networks)
        self._resolver = resolver

    def permits(self, address: str, *, public: bool = True) -> bool:
        """Whether a connection to this numeric address may be made; without `public`, only to the allowed networks."""
        literal = ip_address(address)
        reached = _reached(literal)
        if any(literal in network or reached in network for network in self._allowed):
            return True
        return public and _is_public(reached)

    async def check_url(self, url: str, *, loc: tuple[str | int, ...] = (), public: bool = True) -> None:
        """Raise Invalid for a URL that is malformed, does not resolve, or leads to a forbidden address.

        Every address that the name has must be permitted, since any of them may be the one connected to.
        """
        try:
            parsed = parse_url(url)
        except ValueError as error:
            raise _refusal("outgoing.malformed", str(error), loc) from None
        await self.check_host(parsed.raw_host or "", parsed.port or 0, loc=loc, public=public)

    async def check_host(self, host: str, port: int, *, loc: tuple[str | int, ...] = (), public: bool = True) -> None:
        """The same for the host of something that has no URL."""
        addresses = await self._resolve(host, port, loc)
        if not all(self.permits(address, public=public) for address in addresses):
            raise _refusal("outgoing.forbidden", _forbidden(host, public=public), loc)

    def connector(self) -> TCPConnector:
        """A connector that opens no socket to an address which is not permitted."""
        return TCPConnector(resolver=self._resolver, socket_factory=self._open)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first of the host's addresses that answers, each judged before its socket is made.

        Raises OSError: Unresolvable, ForbiddenAddress, or what the system says.
        """
        return await start_connection(
            await self._addresses(host, port), happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, socket_factory=self._open
        )

    async def _addresses(self, host: str, port: int) -> list[AddrInfoType]:
        if _is_address(host):
            found = [host]
        else:
            try:
                resolver = self._resolver or ThreadedResolver()
                found = [entry["host"] for entry in await resolver.resolve(host, port, family=socket.AF_UNSPEC)]
            except (OSError, UnicodeError) as error:
                raise Unresolvable(str(error)) from error
        if not found:
            raise Unresolvable("no address")
        return [_addr_info(address, port) for address in found]

    def _open(self, addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = addr_info
        if not self.permits(str(address[0])):
            # The same words for every address: of several different errors aiohttp would make a plain OSError.
            raise ForbiddenAddress(f"the address is not public; `{SETTING}` can allow it")
        return socket.socket(family, kind, protocol)

    async def _resolve(self, host: str, port: int, loc: tuple[str | int, ...]) -> list[str]:
        resolver = self._resolver or ThreadedResolver()
        try:
            if _is_address(host):
                return [host]
            async with asyncio.timeout(5):
                found = await resolver.resolve(host, port, family=socket.AF_UNSPEC)
        except (OSError, UnicodeError) as error:
            raise _refusal("outgoing.unresolvable", f"{host} does not resolve to any address", loc) from error
        if not found:
            raise _refusal("outgoing.unresolvable", f"{host} does not resolve to any address", loc)
        return [entry["host"] for entry in found]


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Where packets to this address end: IPv6 has several ways to wrap up an IPv4 address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addr_info(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def _forbidden(host: str, *, public: bool) -> str:
    if public:
        return f"{host} leads to an address that is not public; add its network to `{SETTING}` to allow it"
    return f"{host} is not the provider's host; add its network to `{SETTING}` to use it as a stand-in"


def _refusal(code: str, message: str, loc: tuple[str | int, ...]) -> Invalid:
    return Invalid(message, code=code, details=[Detail(loc, message)])
