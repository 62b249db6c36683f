"""Notifiers whose messages about a group hang together: the first begins a thread, the others go into it.

A thread that ends has its first message changed before the last one is posted. To change it again changes nothing, so
whoever dies between the two repeats both and nothing is said twice; and that the change fails is no reason to keep the
message back. A thread that is gone is begun anew.
"""

from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from alertagent.kernel.message import Message
from alertagent.plugins.base import HttpNotifier
from alertagent.plugins.config import ConfigT
from alertagent.plugins.outcome import Delivered, Outcome, Refused
from alertagent.plugins.transport import HttpRequest, Transport


class ThreadingNotifier(HttpNotifier[ConfigT]):
    """`lost` are the codes of refusals which say that the first message is not there any more."""

    threads = True
    lost: ClassVar[frozenset[str]] = frozenset()

    def closing(self, config: ConfigT, message: Message) -> HttpRequest | None:
        """What changes the first message of a thread that ends with this one; None: nothing does. Pure."""
        return None

    def changes_another(self, config: ConfigT, message: Message) -> bool:
        return self.closing(config, message) is not None

    async def send(self, config: ConfigT, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        closing = self.closing(config, message)
        if closing is not None and self._is_lost(await self.ask(closing, transport)):
            message = replace(message, thread=None)
        outcome = await self.ask(self.render(config, message, now), transport)
        if message.thread is not None and self._is_lost(outcome):
            message = replace(message, thread=None)
            outcome = await self.ask(self.render(config, message, now), transport)
        if isinstance(outcome, Delivered):
            return replace(outcome, thread=message.thread.root if message.thread else outcome.message_id)
        return outcome

    def _is_lost(self, outcome: Outcome) -> bool:
        return isinstance(outcome, Refused) and outcome.code in self.lost
