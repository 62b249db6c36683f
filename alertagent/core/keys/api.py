"""Keys over HTTP: their ids, and changing them. No key ever goes out or comes in."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from alertagent.core.audit.model import actor_of
from alertagent.core.keys.service import Keys
from alertagent.web.access import admin
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.routes import get, post

Left = Annotated[int, Field(description="Values that lie in the clear or under another key than the one that seals.")]


class KeyView(Model):
    """A key by its id, which tells nothing of it."""

    id: str
    seals: Annotated[bool, Field(description="What is written is sealed under it.")]
    held: Annotated[bool, Field(description="The process that answers has it.")]
    added_at: datetime


class KeysView(Model):
    source: Annotated[str, Field(description="Where the process that answers has its keys from.")]
    keys: tuple[KeyView, ...]
    left: Left


class RotationView(Model):
    """How far it has come; call again until it is done."""

    key: Annotated[str, Field(description="The id of the key that seals now.")]
    sealed: Annotated[int, Field(description="Values that this call has sealed anew.")]
    left: Left
    done: bool
    unreadable: Annotated[tuple[str, ...], Field(description="What does not open: restore it, or set it again.")]


class KeysApi:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @get("/keys", access=admin())
    async def state(self, call: Call) -> KeysView:
        """The keys that secrets are sealed under."""
        state = await self._keys.state()
        keys = tuple(KeyView(**{name: getattr(key, name) for name in KeyView.model_fields}) for key in state.keys)
        return KeysView(source=state.source, keys=keys, left=state.left)

    @post("/keys/rotate", access=admin())
    async def rotate(self, call: Call) -> RotationView:
        """Seal all secrets under a new key, or go on with it. Every process must have that key before."""
        progress = await self._keys.rotate(actor_of(call))
        return RotationView(**{name: getattr(progress, name) for name in RotationView.model_fields})
