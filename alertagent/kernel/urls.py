"""URLs that may name several hosts.

`urllib.parse` splits them in some releases of Python and takes them for broken IPv6 addresses in others.
"""

import re
from typing import NamedTuple

_URL = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)


class ServerUrl(NamedTuple):
    """The parts of a URL as they stand in it; the scheme in lower case. `netloc` has the hosts and who logs in."""

    scheme: str
    netloc: str
    path: str
    query: str


def split_url(url: str) -> ServerUrl:
    """Take a URL apart, as RFC 3986 says in its appendix B: any text has these parts."""
    found = _URL.fullmatch(url)
    scheme, netloc, path, query = found.groups(default="") if found is not None else ("", "", url, "")
    return ServerUrl(scheme.lower(), netloc, path, query)
