"""The mark that every generated rule file ends with, by which a sidecar proves what a target runs. Pure.

The last group holds one alert that never fires and whose annotation `revision` is a digest of everything above
it. Prometheus and vmalert answer a reload with 200 even when they then run no rules at all (no file matched)
or, in vmalert's case, before they have read anything; only seeing this annotation in `/api/v1/rules` proves the
bytes. It is an alert because vmalert refuses a recording rule without remote write, and an annotation because
a changed label would reset the alert's state.
"""

import hashlib

GROUP = "alertagent:meta"
ALERT = "AlertAgentConfig"
START = f"- name: {GROUP}\n".encode()


def revision(above: bytes) -> str:
    """The digest of the text above the marker: 16 hex digits of its SHA-256."""
    return shortened(hashlib.sha256(above).hexdigest())


def shortened(digest: str) -> str:
    return digest[:16]


def revision_of(body: bytes) -> str | None:
    """The revision that a target running exactly this file must show; None when the file carries no mark."""
    position = body.rfind(b"\n" + START)
    return None if position < 0 else revision(body[: position + 1])
