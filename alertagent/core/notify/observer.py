"""Where telling reports what it does, so that its caller can count it."""

from typing import Protocol

from alertagent.core.notify.model import DeliveryStatus
from alertagent.plugins.outcome import Outcome


class Observer(Protocol):
    """`plugin` is that of the channel; several messages may belong to one delivery."""

    def message_sent(self, plugin: str, outcome: Outcome, seconds: float) -> None:
        """A message went out, and this is what the provider said to it, after so long."""

    def delivery_ended(self, plugin: str, status: DeliveryStatus) -> None: ...
