"""What is wrong with a file, in the order in which it was found. Pure."""

from dataclasses import dataclass, field

from alertagent.kernel.errors import Detail
from alertagent.kernel.yaml_guard import Mark

Loc = tuple[str | int, ...]

# A file that is no rule file at all would give one finding for each of its lines.
MAX_ERRORS = 100
MAX_WARNINGS = 500


class TooManyError(Exception):
    """Nobody reads more findings."""


@dataclass(frozen=True, slots=True)
class Findings:
    errors: list[Detail] = field(default_factory=list)
    warnings: list[Detail] = field(default_factory=list)

    def error(self, loc: Loc, message: str, mark: Mark | tuple[int, int]) -> None:
        """Raises TooManyError after the last one that is told."""
        self.errors.append(Detail(loc, message, line=mark[0], column=mark[1]))
        if len(self.errors) >= MAX_ERRORS:
            self.errors.append(Detail((), f"there may be more: the check ended after {MAX_ERRORS} findings"))
            raise TooManyError

    def warning(self, loc: Loc, message: str, mark: Mark | tuple[int, int]) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(Detail(loc, message, line=mark[0], column=mark[1]))
