"""What is free in the heap goes back to the machine.

The GNU C library keeps what was freed below something that is still in use, so that after every burst of alerts a
process would stay as large as the burst made it. Asked to, it gives back whole pages anywhere in the heap. Where
another C library is in use, nothing is done.
"""

import asyncio
import ctypes
from datetime import timedelta

GIVE_BACK_EVERY = timedelta(seconds=15)

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Takes some milliseconds after a burst, and next to nothing where there is nothing to give."""
    if _trim is not None:
        _trim(ctypes.c_size_t(0))


async def giving_back(every: timedelta = GIVE_BACK_EVERY) -> None:
    """Give back what is free now and then, until cancelled."""
    while True:
        give_back()
        await asyncio.sleep(every.total_seconds())
