"""How a cluster's configuration and its versions are kept: rows whose texts are sealed."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alertagent.core.alertmanager.model import Stored, Texts
from alertagent.kernel.errors import NotFound
from alertagent.storage.sealing import Column, Form, Id, Unreadable
from alertagent.storage.seals import Sealer, Seals


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumns:
    """The two columns of one table that hold texts."""

    config: Column
    templates: Column

    def stored(self, sealer: Sealer, texts: Texts | None, *ids: Id) -> tuple[Any, Any]:
        """No texts: a deletion, which has nothing to seal."""
        if texts is None:
            return None, {}
        config = sealer.sealed(self.config.at(*ids), texts.config)
        return config, sealer.sealed(self.templates.at(*ids), dict(texts.templates))

    def read(self, seals: Seals, row: Any, *ids: Id) -> Texts | None:
        """None where the row is a deletion. Raises Unreadable."""
        if row["config"] is None:
            return None
        config = seals.opened(self.config.at(*ids), row["config"])
        return Texts(config=config, templates=seals.opened(self.templates.at(*ids), row["templates"]))


def _columns(table: str, *key: str) -> TextColumns:
    return TextColumns(
        config=Column(table=table, name="config", key=key, form=Form.TEXT),
        templates=Column(table=table, name="templates", key=key, only="config IS NOT NULL"),
    )


CURRENT = _columns("alertmanager_configs", "cluster_id")
VERSIONS = _columns("alertmanager_config_versions", "cluster_id", "revision")
SEALED = (CURRENT.config, CURRENT.templates, VERSIONS.config, VERSIONS.templates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where a cluster's configuration is kept. `stored` is None before the first one and after a deletion.

    `unreadable` says why the texts do not open, where that is so; then they can only be replaced as a whole.
    """

    cluster_id: str
    revision: int = 0
    mask_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    stored: Stored | None = None
    unreadable: str | None = None

    @property
    def texts(self) -> Texts | None:
        return self.stored.texts if self.stored is not None else None

    @property
    def filled(self) -> Stored:
        """Raises NotFound, Unreadable."""
        if self.unreadable is not None:
            raise Unreadable(f'the Alertmanager configuration of cluster "{self.cluster_id}": {self.unreadable}')
        if self.stored is None:
            message = f'no Alertmanager configuration is stored for cluster "{self.cluster_id}"'
            raise NotFound(message, code="alertmanager.none")
        return self.stored

    @property
    def is_empty(self) -> bool:
        return self.stored is None and self.unreadable is None

    def audited(self) -> Mapping[str, Any] | None:
        """No text: whoever may read the log would read the secrets."""
        stored = self.stored
        return {"version": stored.version, "templates": sorted(stored.texts.templates)} if stored is not None else None


def slot_of(row: Any, seals: Seals) -> Slot:
    place = {name: row[name] for name in ("cluster_id", "revision", "mask_key")}
    try:
        texts = CURRENT.read(seals, row, row["cluster_id"])
    except Unreadable as problem:
        return Slot(**place, unreadable=problem.message)
    if texts is None:
        return Slot(**place)
    stored = Stored(**place, texts=texts, updated_by=row["updated_by"], updated_at=row["updated_at"])
    return Slot(**place, stored=stored)
