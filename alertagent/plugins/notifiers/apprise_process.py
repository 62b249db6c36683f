"""The process in which apprise words a message: a program of its own, run as a file, with nothing of ours in it.

Apprise sends by itself, from wherever it likes. So here it is without any way to: this process has no environment and
cannot open a file or a socket, and what apprise hands to `requests` goes to whoever started this process, who sends it
and hands the answer back. A service that does not use `requests` fails.

Frames (a length of four bytes, then JSON) come on standard input and go out on standard output:

    {"service", "url"}   in, once; out come the service's {"title", "body", "targets"}, or the {"forms"} of its URLs
    {"title", "body"…}   in, once; out come any number of {"method", "url", "headers", "content"}, each of which is
                         answered by {"status", "headers", "content"} or, where there is no answer, by {}
    {"delivered"}        out, at the end
"""

import base64
import json
import logging
import resource
import struct
import sys
from collections.abc import Mapping
from importlib import import_module
from io import BytesIO
from typing import Any

HEAD = struct.Struct(">I")

MEMORY = 512 * 1024 * 1024
SECONDS = 5  # of computing time


def tell(frame: object) -> None:
    content = json.dumps(frame).encode()
    sys.stdout.buffer.write(HEAD.pack(len(content)) + content)
    sys.stdout.buffer.flush()


def hear() -> Any:
    """Ends the process when nobody speaks to it any more."""
    head = sys.stdin.buffer.read(HEAD.size)
    if len(head) < HEAD.size:
        sys.exit()
    return json.loads(sys.stdin.buffer.read(HEAD.unpack(head)[0]))


def _send(adapter: Any, request: Any, **_: Any) -> Any:
    """What stands in for the sending of `requests`. No redirect comes through: whoever answers one has refused."""
    content = request.body or b""
    content = content.encode() if isinstance(content, str) else content
    tell(
        {
            "method": request.method,
            "url": request.url,
            "headers": {_text(name): _text(value) for name, value in request.headers.items()},
            "content": base64.b64encode(content).decode(),
        }
    )
    answer = hear()
    if not answer:
        raise import_module("requests").ConnectionError
    return _answered(adapter, request, answer)


def _answered(adapter: Any, request: Any, answer: Mapping[str, Any]) -> Any:
    made = import_module("urllib3").HTTPResponse(
        body=BytesIO(base64.b64decode(answer["content"])),
        headers={name: value for name, value in answer["headers"].items() if name.lower() != "location"},
        status=answer["status"],
        preload_content=False,
    )
    return adapter.build_response(request, made)


def _text(header: str | bytes) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header


def _service(path: str) -> Any:
    """The class that `module.Class` names among apprise's own; only its module is imported."""
    module, _, name = path.partition(".")
    return getattr(import_module(f"apprise.plugins.{module}"), name)


def _made(kind: Any, url: str) -> Any:
    """The service as the URL describes it, without what a URL may ask for beside; None where apprise cannot read it."""
    apprise = import_module("apprise")
    asset = apprise.AppriseAsset(
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
    )
    try:
        read = kind.parse_url(url)
        made = kind(**{**read, "asset": asset}) if read else None
    except Exception:  # noqa: BLE001 - its text may repeat the URL
        return None
    if made is not None:
        made.retry = 0
        made.overflow_mode = apprise.OverflowMode.TRUNCATE
        made.request_rate_per_sec = 0  # which apprise would sleep for between two requests
    return made


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _take_over() -> None:
    """Stand in for the sending of `requests`, after a rehearsal: what it imports late cannot be opened later."""
    for name in ("apprise.conversion", "encodings.idna", "markdown", "netrc"):
        import_module(name)
    requests = import_module("requests")
    answer = {"status": 200, "headers": {"Content-Type": "application/json"}, "content": base64.b64encode(b"{}")}
    requests.adapters.HTTPAdapter.send = lambda adapter, request, **_: _answered(adapter, request, answer)
    requests.post("https://example.org/", json={}, auth=("a", "b"), params={"a": "b"}).json()
    requests.adapters.HTTPAdapter.send = _send


def main() -> None:
    logging.disable()  # what apprise logs may hold secrets
    asked = hear()
    kind = _service(asked["service"])
    _take_over()
    _confine()
    service = _made(kind, asked["url"])
    if service is None:
        tell({"forms": [str(form) for form in kind.templates]})
        return
    tell({"title": service.title_maxlen, "body": service.body_maxlen, "targets": len(service)})
    message = hear()
    try:
        delivered = service.notify(**message, body_format="text")
    except Exception:  # noqa: BLE001 - a service may fail in any way
        delivered = False
    tell({"delivered": bool(delivered)})


if __name__ == "__main__":
    main()
