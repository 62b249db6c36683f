"""Actions of Go templates, `{{ … }}`, as far as that they must end. Pure."""

import re

# Atomic, so that a text of openings only is walked through once. Not possessive: Python before 3.11.5 gets that wrong
# for what has alternatives.
_ACTION = re.compile(
    r"""\{\{(?:-?\s*/\*.*?\*/|(?!-?\s*/\*)(?>(?:[^"'`}]|"(?>(?:[^"\\\n]|\\.)*)"|'(?>(?:[^'\\\n]|\\.)*)'|`[^`]*+`|\}(?!\}))*))\s*+-?\}\}""",
    re.DOTALL,
)

OPEN = "a template action is opened by {{ and never closed by }}"


def has_open_action(text: str) -> bool:
    """Whether an action never ends. Braces inside its strings and comments are no ends."""
    position = 0
    while (start := text.find("{{", position)) >= 0:
        action = _ACTION.match(text, start)
        if action is None:
            return True
        position = action.end()
    return False
