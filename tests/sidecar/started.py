"""A sidecar as a process of its own, for tests that kill or measure it: options as JSON in the first argument."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from alertagent.sidecar.main import Options, run


def options(words: dict[str, Any]) -> Options:
    listen = words.pop("listen", None)
    return Options(
        **words | {"config_path": Path(words["config_path"])},
        listen=listen and tuple(listen),
        sync_interval=timedelta(seconds=2),
        proof=timedelta(seconds=1),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(run(options(json.loads(sys.argv[1])))))
