"""What plugins say of themselves, in the two languages that people are spoken to."""

from dataclasses import dataclass

from alertagent.kernel.language import Language


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same words in Chinese and in English."""

    zh: str
    en: str

    def to(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en
