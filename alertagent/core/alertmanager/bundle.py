"""The configuration as the target gets it: alone, or with its templates in one archive. Pure.

The same configuration always gives the same bytes, for their hash is what a sidecar compares and proves.
"""

import io
import tarfile
from collections.abc import Mapping

from alertagent.core.alertmanager.templates import directory_of, with_paths
from alertagent.kernel import yaml_guard

MAIN = "alertmanager.yml"


def rendered(text: str, templates: Mapping[str, str]) -> bytes:
    """The configuration's own bytes, with the paths of its templates."""
    return (with_paths(text, yaml_guard.load(text), templates) if templates else text).encode()


def bundled(body: bytes, templates: Mapping[str, str]) -> bytes:
    """A tar of the configuration and its templates, sorted by name, without times and owners."""
    directory = directory_of(templates)
    files = {MAIN: body} | {f"{directory}/{name}": text.encode() for name, text in templates.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()
