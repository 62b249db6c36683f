"""JSON that strangers sent. Pure."""

import json
from typing import Any


def decoded(text: bytes) -> Any:
    """What it says. Raises ValueError, also where it is nested so deep that the standard library gives up otherwise."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deep") from error
