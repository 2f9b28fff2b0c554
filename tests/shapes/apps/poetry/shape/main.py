from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route


async def index(request):
    return HTMLResponse("<p>hello from Starlette</p>")


async def version(request):
    return JSONResponse({"commit": Path("/app/COMMIT").read_text()})


app = Starlette(routes=[Route("/", index), Route("/version", version)])
