"""The least that aiohttp can do: an application of one handler that answers 304.

python -m benchmarks.contestants.bare PORT
"""

import asyncio
import sys

import uvloop
from aiohttp import web


async def unchanged(_request: web.Request) -> web.Response:
    return web.Response(status=304, headers={"ETag": '"x"'})


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_get("/api/v1/config/sync", unchanged)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
