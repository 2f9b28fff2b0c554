from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


async def index(request):
    return PlainTextResponse("hello from a folder")


async def version(request):
    return JSONResponse({"commit": Path("/app/COMMIT").read_text()})


app = Starlette(routes=[Route("/", index), Route("/health/", index), Route("/version", version)])
