import os
from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Response, status

from .rooms import NewRoom, Room, RoomExists, Rooms, TooManyRooms

COMMIT_FILE = Path(os.environ.get("COMMIT_FILE", "/app/COMMIT"))


def no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


# The interactive pages of FastAPI load scripts from a CDN, so they stay off.
app = FastAPI(title="Watch party", docs_url=None, redoc_url=None, dependencies=[Depends(no_store)])
rooms = Rooms()


# The handlers are async and never await: they run one after the other, and the rooms need no lock.
@app.get("/api/rooms")
async def list_rooms() -> list[Room]:
    return rooms.all()


@app.post("/api/rooms", status_code=status.HTTP_201_CREATED)
async def add_room(new: NewRoom) -> Room:
    try:
        return rooms.add(new)
    except RoomExists:
        raise HTTPException(status.HTTP_409_CONFLICT, "a room of this name exists") from None
    except TooManyRooms:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "no more rooms can be opened") from None


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


# Read per request, so that the answer is what this container holds and not what a cache remembers.
@app.get("/version")
async def version(response: Response) -> dict[str, str | None]:
    try:
        commit = COMMIT_FILE.read_text().strip()
    except FileNotFoundError:
        commit = ""
    if not commit:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return {"commit": commit or None}
