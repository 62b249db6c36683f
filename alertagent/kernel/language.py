"""The two languages in which people are spoken to."""

from enum import StrEnum


class Language(StrEnum):
    ZH = "zh-CN"
    EN = "en"

    @classmethod
    def _missing_(cls, value: object) -> "Language | None":
        return cls.ZH if value == "zh" else None
