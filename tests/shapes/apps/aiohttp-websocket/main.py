from pathlib import Path

from aiohttp import web


async def socket(request):
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        await answer.send_str(message.data)
    return answer


async def index(request):
    return web.Response(text="hello from aiohttp")


async def version(request):
    return web.json_response({"commit": Path("/app/COMMIT").read_text()})


app = web.Application()
app.add_routes([web.get("/", index), web.get("/socket", socket), web.get("/version", version)])
web.run_app(app, port=8080)
