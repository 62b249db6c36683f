"""What the server and the process that renders templates have agreed on.

`sandbox.py` says it once more, because it is run as a file and finds nothing of ours; a test compares the two. The
server does not import that file: what it needs to render takes more than a megabyte.
"""

import struct
from pathlib import Path

PROGRAM = Path(__file__).with_name("sandbox.py")

OPEN, CLOSE = "\x02", "\x03"
HEAD = struct.Struct(">I")
RENDER_SECONDS = 0.1
