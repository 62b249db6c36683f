"""A monitoring server of each type, with configurations that it loads and some that it does not."""

import io
import json
import re
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import aiohttp

from alertagent.core.configs import marker
from tests.support.config_server import rule_file
from tests.support.prometheus import Prometheus, RuleServer, Vmalert

TEMPLATE = b'{{ define "title" }}%s{{ end }}\n'


class Alertmanager(RuleServer):
    """Loads one file. `prefix` is where its pages begin."""

    def __init__(self, directory: Path, live: Path, *, prefix: str = "") -> None:
        super().__init__(directory)
        self._live = live
        self._prefix = prefix
        self.reload_url = f"{self.url}{prefix}/-/reload"

    def command(self) -> list[str]:
        return [
            "prometheus-alertmanager",
            f"--config.file={self._live}",
            f"--storage.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.route-prefix={self._prefix or '/'}",
            "--cluster.listen-address=",
        ]

    async def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()
        try:
            return (await self._get(f"{self._prefix}/-/ready"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def receivers(self) -> set[str]:
        _, body = await self._get(f"{self._prefix}/api/v2/receivers")
        return {receiver["name"] for receiver in json.loads(body)}


def alertmanager_file(*receivers: str, templates: tuple[str, ...] = (), more: str = "") -> bytes:
    lines = [
        f"route:\n  receiver: {receivers[0]}\n",
        more,
        "receivers:\n",
        *(f"- name: {name}\n" for name in receivers),
    ]
    if templates:
        lines += ["templates:\n", *(f"- {path}\n" for path in templates)]
    return "".join(lines).encode()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def bundle(*receivers: str, template: bytes | None = None) -> bytes:
    """A configuration with one template, which by default differs with the receivers."""
    text = TEMPLATE % " ".join(receivers).encode() if template is None else template
    path = f"alertagent-templates/{sha256(text).hexdigest()[:16]}/title.tmpl"
    return tar_of({"alertmanager.yml": alertmanager_file(*receivers, templates=(path,)), path: text})


def files_of(body: bytes) -> dict[str, bytes]:
    """What a served body must become on disk; the main file has the name ""."""
    if not body.startswith(b"alertmanager.yml\0"):
        return {"": body}
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name.replace("alertmanager.yml", ""): tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # all are files


def files_on(live: Path) -> dict[str, bytes]:
    """The live file and all templates, as `files_of` names them; {} while there is no live file."""
    if not live.exists():
        return {}
    templates = (live.parent / "alertagent-templates").glob("*/*")
    return {"": live.read_bytes()} | {str(path.relative_to(live.parent)): path.read_bytes() for path in templates}


@dataclass(frozen=True, kw_only=True)
class Stand:
    """`good`, `better` and `last` differ in what `shown` reads from the target, and hold these names.

    `bad` is refused by the type's tool and by the target, the latter as `refusal`; `nonsense` by us as well.
    """

    config_type: str
    tool: str
    target: RuleServer
    live: Path
    shown: Callable[[], Awaitable[set[str]]]
    make: Callable[..., bytes]
    bad: bytes
    nonsense: bytes
    refusal: str

    @property
    def good(self) -> bytes:
        return self.make("First")

    @property
    def better(self) -> bytes:
        return self.make("First", "Second")

    @property
    def last(self) -> bytes:
        return self.make("First", "Third")

    async def runs(self, *names: str) -> bool:
        return await self.shown() - {marker.ALERT} == set(names)

    def is_on_disk(self, body: bytes) -> bool:
        return files_on(self.live) == files_of(body)


def stand(config_type: str, directory: Path) -> Stand:
    (directory / "rules").mkdir(exist_ok=True)
    live = directory / "rules" / "alertagent.yml"
    if config_type == "alertmanager":
        live.write_bytes(alertmanager_file("theirs"))
        alertmanager = Alertmanager(directory, live)
        return Stand(
            config_type=config_type,
            tool="amtool",
            target=alertmanager,
            live=live,
            shown=alertmanager.receivers,
            make=bundle,
            bad=bundle("Broken", template=b"{{ define"),
            nonsense=b"route: {receiver: nobody}\nreceivers: []\n",
            refusal="refused",
        )
    rules = Prometheus(directory) if config_type == "prometheus" else Vmalert(directory, live)
    return Stand(
        config_type=config_type,
        tool="promtool" if config_type == "prometheus" else "vmalert",
        target=rules,
        live=live,
        shown=rules.alerts,
        make=quick_rules,
        bad=quick_rules("Broken", expr="sum("),
        nonsense=quick_rules("Empty", expr="''"),
        refusal="refused" if config_type == "prometheus" else "not_applied",
    )


def quick_rules(*alerts: str, expr: str = "vector(1)") -> bytes:
    """vmalert takes no change of a group before the group's first evaluation, so that must come soon."""
    return rule_file(*alerts, expr=expr, interval="1s")


def remarked(text: str) -> bytes:
    """A rule file that was changed by hand, with the marker that fits it again."""
    above = text.encode()[: text.encode().rfind(b"\n" + marker.START) + 1]
    return re.sub(r"revision: \w+", f"revision: {marker.revision(above)}", text).encode()
