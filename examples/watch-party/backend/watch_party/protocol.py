"""What browsers and the server say to each other, over a WebSocket or by HTTP."""

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from .limits import MAX_FRAMES_PER_POLL, MAX_NAME, MAX_ROOM_NAME, MAX_TEXT

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME)]
RoomName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_ROOM_NAME)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
# A browser makes its key itself and keeps it: whoever has it is that member.
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seq = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def member_of(key: str) -> str:
    """What others may know of a member: its key stays between its browser and the server."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


class Given(BaseModel):
    """What a browser sends; a field that nobody knows is a mistake of the sender."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Visit(Given):
    """Who comes. `after` is the last message that the browser has."""

    key: Key
    name: Name
    after: Seq = 0


class Hello(Visit):
    """The first frame of a socket."""

    type: Literal["hello"]


class Chat(Given):
    type: Literal["chat"]
    id: Id
    text: Text


class Play(Given):
    type: Literal["playback"]
    playing: bool
    position: Seconds


class HandOver(Given):
    """The host gives the lead to a member; where the host has left, a member takes it."""

    type: Literal["host"]
    member: Id


class Ping(Given):
    """`sent` comes back: the browser learns how far its clock is off."""

    type: Literal["ping"]
    sent: Annotated[float, Field(allow_inf_nan=False)]


Frame = Annotated[Chat | Play | HandOver | Ping, Field(discriminator="type")]
FRAME: TypeAdapter[Chat | Play | HandOver | Ping] = TypeAdapter(Frame)


class NewRoom(Given):
    name: RoomName
    key: Key
    listed: bool = False


class Poll(Visit):
    """The way without a socket: all that is to be said, and the answer is all that is new."""

    frames: Annotated[list[Frame], Field(max_length=MAX_FRAMES_PER_POLL)] = []


class Room(BaseModel):
    id: str
    name: str
    viewers: int


class Message(BaseModel):
    seq: int
    id: str
    member: str
    name: str
    text: str
    at: float


class Member(BaseModel):
    id: str
    name: str


class Playback(BaseModel):
    """The film was at `position` at the time `at`, and has gone on since if it is `playing`."""

    playing: bool
    position: float
    at: float
    host: str | None
    revision: int


class Messages(BaseModel):
    type: Literal["messages"] = "messages"
    messages: list[Message]


class Members(BaseModel):
    type: Literal["members"] = "members"
    members: list[Member]


class PlaybackIs(BaseModel):
    type: Literal["playback"] = "playback"
    playback: Playback


class Welcome(BaseModel):
    """All that a browser needs to be where the others are."""

    type: Literal["welcome"] = "welcome"
    you: str
    room: Room
    now: float
    messages: list[Message]
    members: list[Member]
    playback: Playback


class Pong(BaseModel):
    type: Literal["pong"] = "pong"
    sent: float
    now: float


class Problem(BaseModel):
    """What was not done and why. `id` names the message, where it is about one."""

    type: Literal["error"] = "error"
    code: str
    text: str
    id: str | None = None


Said = Messages | Members | PlaybackIs | Welcome | Pong | Problem


class Refused(Exception):
    """A request that is understood and not granted."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text
