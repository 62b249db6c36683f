"""Which headers a user may add to a request. Pure."""

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OWN = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "host", "traceparent"})


def settable_header(name: str) -> str:
    """The name, if it may be set. Raises ValueError for what is no name and for what AlertAgent sets itself."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is not the name of a header")
    if name.lower() in _OWN or name.lower().startswith("webhook-"):
        raise ValueError(f"the header {name} is set by AlertAgent")
    return name
