"""The two languages that plugins speak to people."""

from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same words in Chinese and in English."""

    zh: str
    en: str

    def to(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en
