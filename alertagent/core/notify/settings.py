"""What the owner of a channel sets, as it crosses the border."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from alertagent.core.alertmanager.times import minutes
from alertagent.core.silences.recurrence import is_zone
from alertagent.web.models import Model

Severity = Literal["info", "warning", "critical"]
Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

MinSeverity = Annotated[
    Severity | None,
    Field(description="It hears of nothing less urgent. A severity that nobody knows counts as an error."),
]

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _clock(value: str) -> str:
    if not _CLOCK.fullmatch(value):
        raise ValueError("must be a time as HH:MM, from 00:00 to 23:59")
    return value


def _end(value: str) -> str:
    return value if value == "24:00" else _clock(value)


class QuietWindowModel(Model):
    """From `start` to `end`, on the next day where that is earlier. `days`: on which it begins; none: every day."""

    start: Annotated[str, AfterValidator(_clock), Field(examples=["22:00"])]
    end: Annotated[str, AfterValidator(_end), Field(examples=["07:00"])]
    days: Annotated[tuple[Day, ...], Field(max_length=7)] = ()

    @model_validator(mode="after")
    def _has_a_length(self) -> "QuietWindowModel":
        if minutes(self.start) == minutes(self.end):
            raise ValueError("start and end are the same time; a whole day is 00:00 to 24:00")
        return self


class QuietHoursView(Model):
    """When a channel is not told. What still fires afterwards it is told then."""

    time_zone: Annotated[str, Field(max_length=100, examples=["Europe/Berlin"])]
    windows: Annotated[tuple[QuietWindowModel, ...], Field(min_length=1, max_length=8)]
    except_severity: Annotated[
        Literal["warning", "critical"] | None, Field(description="What is at least that urgent is told all the same.")
    ] = None


class QuietHoursModel(QuietHoursView):
    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if not is_zone(name):
            raise ValueError("not a time zone; write it as Europe/Berlin or UTC")
        return name
