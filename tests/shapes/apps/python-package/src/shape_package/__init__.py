import json
from pathlib import Path

import uvicorn


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    is_version = scope["path"] == "/version"
    body = json.dumps({"commit": Path("/app/COMMIT").read_text()}) if is_version else "hello from a package"
    kind = b"application/json" if is_version else b"text/plain"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body.encode()})


def main():
    uvicorn.run(app, host="0.0.0.0", port=8000)
