"""Values of which many are made."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A dataclass that nobody changes once it is made, with slots and keyword arguments only.

    That nobody does is what the type checker sees to. A frozen dataclass sees to it when it runs, and takes nearly
    twice as long to make.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
