"""What a template is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alertagent.kernel.language import Language

PARTS = ("title", "body")
MAX_SOURCE = 64 * 1024  # in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The sources for one language; an empty one leaves its part to the plugin's layout."""

    title: str = ""
    body: str = ""

    def as_json(self) -> dict[str, str]:
        return {part: getattr(self, part) for part in PARTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    id: str
    name: str
    texts: Mapping[Language, Text]
    revision: int
    created_at: datetime
    updated_at: datetime

    def text(self, language: Language) -> Text:
        """That for readers of this language, or else the other one: strange words say more than none."""
        return self.texts.get(language) or next(iter(self.texts.values()))


def texts_of(document: Mapping[str, Mapping[str, str]]) -> dict[Language, Text]:
    return {Language(language): Text(**text) for language, text in sorted(document.items())}


def texts_as_json(texts: Mapping[Language, Text]) -> dict[str, Any]:
    return {str(language): text.as_json() for language, text in sorted(texts.items())}
