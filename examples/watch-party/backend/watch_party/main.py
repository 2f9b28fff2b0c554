import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Request, Response, WebSocket, WebSocketDisconnect, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.middleware.base import RequestResponseEndpoint

from .bucket import Bucket, Buckets
from .hub import Connection, Database, Hub, Visitor
from .limits import (
    FRAME_BURST,
    FRAMES_PER_SECOND,
    MAX_CONNECTIONS,
    MAX_FRAME_BYTES,
    PATIENCE,
    ROOM_BURST,
    ROOMS_PER_SECOND,
)
from .migrate import migrate, newest, schema_of
from .protocol import FRAME, Chat, Hello, NewRoom, Poll, Problem, Refused, Room, Said, member_of
from .store import Store, connect, database_path

COMMIT_FILE = Path(os.environ.get("COMMIT_FILE", "/app/COMMIT"))
HELLO_SECONDS = 10.0

# Codes of a closed socket. All others are 1013, try again later; 1012 uvicorn sends when it is told to stop.
TRY_LATER = 1013
CLOSE = {"unknown_room": 4404, "no_hello": 1008, "flood": 1008}
STATUS = {
    "unknown_room": status.HTTP_404_NOT_FOUND,
    "not_host": status.HTTP_403_FORBIDDEN,
    "too_fast": status.HTTP_429_TOO_MANY_REQUESTS,
    "storage_full": status.HTTP_507_INSUFFICIENT_STORAGE,
}

NO_STORE = {"Cache-Control": "no-store"}

log = logging.getLogger("uvicorn.error")


def open_store() -> Store:
    """
    A database that exists is migrated by the release's command, before this container starts. One that does not exist
    is made here, so that the app runs where no command and no volume are configured.
    """
    path = database_path()
    db = connect(path)
    if schema_of(db) == 0:
        migrate(db)
    log.info("state: %s, schema %d", path, schema_of(db))
    return Store(db)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = Database(open_store)
    app.state.database, app.state.hub = database, Hub(database)
    watch = asyncio.create_task(app.state.hub.watch())
    yield
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    await database.close()


def database_of(request: Request) -> Database:
    return request.app.state.database  # type: ignore[no-any-return]


def hub_of(request: Request) -> Hub:
    return request.app.state.hub  # type: ignore[no-any-return]


def no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


app = FastAPI(
    title="Watch party",
    # The interactive pages of FastAPI load scripts from a CDN, so they stay off.
    docs_url=None,
    redoc_url=None,
    dependencies=[Depends(no_store)],
    lifespan=lifespan,
)
new_rooms = Buckets(ROOM_BURST, ROOMS_PER_SECOND)
polled_frames = Buckets(FRAME_BURST, FRAMES_PER_SECOND)


@app.middleware("http")
async def refuse_long_bodies(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Judged before the body is read; uvicorn reads no more of it than its header says."""
    length = request.headers.get("content-length")
    if request.method == "POST" and (length is None or int(length) > MAX_FRAME_BYTES):
        said = f"A body of at most {MAX_FRAME_BYTES} bytes is taken, with its Content-Length."
        code = status.HTTP_411_LENGTH_REQUIRED if length is None else status.HTTP_413_CONTENT_TOO_LARGE
        return JSONResponse({"detail": said}, code, NO_STORE)
    return await call_next(request)


@app.exception_handler(Refused)
async def refused(_: Request, cause: Refused) -> JSONResponse:
    headers = dict(NO_STORE)
    code = STATUS.get(cause.code, status.HTTP_503_SERVICE_UNAVAILABLE)
    if code in (status.HTTP_429_TOO_MANY_REQUESTS, status.HTTP_503_SERVICE_UNAVAILABLE):
        headers["Retry-After"] = "2"
    return JSONResponse({"detail": cause.text, "code": cause.code}, code, headers)


@app.exception_handler(RequestValidationError)
async def malformed(_: Request, cause: RequestValidationError) -> JSONResponse:
    """Says where a body is wrong and not what it holds, which may be no text at all."""
    detail = first_problem(cause.errors())
    return JSONResponse({"detail": detail, "code": "malformed"}, status.HTTP_422_UNPROCESSABLE_CONTENT, NO_STORE)


@app.get("/api/rooms")
async def list_rooms(database: Database = Depends(database_of)) -> list[Room]:
    return await database.do(Store.rooms, time.time())


@app.post("/api/rooms", status_code=status.HTTP_201_CREATED)
async def add_room(new: NewRoom, request: Request, database: Database = Depends(database_of)) -> Room:
    # The edge says who asks, and takes that header from nobody else.
    asking = request.headers.get("x-forwarded-for") or (request.client.host if request.client else "")
    if new_rooms.wait(asking) > 0:
        raise Refused("too_fast", "Too many rooms at once. Wait a moment.")
    return await database.do(Store.add_room, new.name, host=member_of(new.key), listed=new.listed, now=time.time())


@app.get("/api/rooms/{id}")
async def get_room(id: str, database: Database = Depends(database_of)) -> Room:
    return await database.do(Store.room, id, time.time())


@app.post("/api/rooms/{id}/poll")
async def poll(id: str, asked: Poll, hub: Hub = Depends(hub_of)) -> list[Said]:
    """For those whose network lets no socket through: they ask every second."""
    member = member_of(asked.key)
    visitor = Visitor.of(asked, id, connection=f"poll-{id}-{member}")
    said: list[Said] = []
    for frame in asked.frames:
        if polled_frames.wait(member) > 0:
            raise Refused("too_fast", "Too much at once. Wait a moment.")
        answer = await hub.take(visitor, frame)
        if answer is not None:
            said.append(answer)
    return [await hub.welcome(visitor, asked.after), *said]


@app.websocket("/api/rooms/{id}/socket")
async def socket(id: str, socket: WebSocket) -> None:
    # Accepted before anything is refused: of a refused handshake a browser tells its page no more than that it failed.
    await socket.accept()
    hub: Hub = socket.app.state.hub
    try:
        if hub.count >= MAX_CONNECTIONS:
            raise Refused("server_full", "The server is full. Try again later.")
        hello = await first_frame(socket)
        connection = await hub.join(Visitor.of(hello, id, uuid4().hex), hello.after)
    except Gone:
        return
    except Refused as cause:
        await close(socket, cause)
        return
    try:
        await talk(hub, socket, connection)
    except Gone:
        pass
    except Refused as cause:
        await close(socket, cause)
    finally:
        with suppress(Refused):
            await hub.leave(connection)


class Gone(Exception):
    """The other end has closed the socket."""


async def receive(socket: WebSocket) -> str | bytes:
    got = await socket.receive()
    if got["type"] == "websocket.disconnect":
        raise Gone
    text, data = got.get("text"), got.get("bytes")
    return text if text is not None else data or b""


async def first_frame(socket: WebSocket) -> Hello:
    try:
        return Hello.model_validate_json(await asyncio.wait_for(receive(socket), HELLO_SECONDS))
    except (TimeoutError, ValidationError):
        raise Refused("no_hello", "The first frame has to be a hello with a key and a name.") from None


async def close(socket: WebSocket, cause: Refused) -> None:
    """The reason as a frame, for people, and as a code, for the page: after 4404 and 1008 it does not come back."""
    with suppress(RuntimeError):
        await socket.send_text(Problem(code=cause.code, text=cause.text).model_dump_json())
        await socket.close(CLOSE.get(cause.code, TRY_LATER), cause.code)


async def talk(hub: Hub, socket: WebSocket, connection: Connection) -> None:
    """Reads and writes until one of both ends."""
    both = {
        asyncio.create_task(listen(hub, socket, connection)),
        asyncio.create_task(tell(socket, connection)),
        asyncio.create_task(refuse_slow(connection)),
    }
    done, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        await task


async def listen(hub: Hub, socket: WebSocket, connection: Connection) -> None:
    bucket, patience = Bucket(FRAME_BURST, FRAMES_PER_SECOND), PATIENCE
    while True:
        text = await receive(socket)
        answer: Said | None
        try:
            frame = FRAME.validate_json(text)
        except ValidationError as cause:
            frame, answer = None, Problem(code="malformed", text=first_problem(cause.errors()))
        if (wait := bucket.wait()) > 0:
            patience -= 1
            if patience == 0:
                raise Refused("flood", "Far too much was sent.")
            id = frame.id if isinstance(frame, Chat) else None
            answer = Problem(code="too_fast", text=f"Too fast. Wait {wait:.1f} s.", id=id)
        elif frame is not None:
            answer = await hub.take(connection.visitor, frame)
        if answer is not None:
            connection.tell(answer)


def first_problem(errors: Sequence[Mapping[str, Any]]) -> str:
    """Where something is wrong, without what it holds."""
    where = ".".join(map(str, errors[0]["loc"]))
    said = str(errors[0]["msg"])
    return f"{where}: {said}" if where else said


async def tell(socket: WebSocket, connection: Connection) -> None:
    while True:
        said = await connection.waiting.get()
        try:
            await socket.send_text(said.model_dump_json())
        except (RuntimeError, WebSocketDisconnect):
            raise Gone from None


async def refuse_slow(connection: Connection) -> None:
    await connection.too_slow.wait()
    raise Refused("too_slow", "This connection does not take what it is sent.")


# Also asked by the deploy before it leads anyone here: a database that lacks this release's schema is no health.
@app.get("/healthz")
async def healthz(database: Database = Depends(database_of)) -> dict[str, str]:
    await database.do(Store.check, newest())
    return {"status": "ok"}


# Read per request, so that the answer is what this container holds and not what a cache remembers.
@app.get("/version")
def version(response: Response) -> dict[str, str | None]:
    try:
        commit = COMMIT_FILE.read_text().strip()
    except FileNotFoundError:
        commit = ""
    if not commit:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return {"commit": commit or None}
