"""The rooms, kept in memory: a restart brings back the first three."""

from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_ROOMS = 100

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class NewRoom(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Title
    film: Title


class Room(NewRoom):
    id: str = Field(default_factory=lambda: uuid4().hex[:8])
    viewers: int = 0


class RoomExists(Exception):
    pass


class TooManyRooms(Exception):
    pass


class Rooms:
    def __init__(self) -> None:
        self._rooms = [
            Room(id="friday", name="Friday night", film="The Third Man", viewers=12),
            Room(id="silent", name="Silent cinema", film="Metropolis", viewers=4),
            Room(id="family", name="Family sofa", film="The General", viewers=1),
        ]

    def all(self) -> list[Room]:
        return list(self._rooms)

    def add(self, new: NewRoom) -> Room:
        if any(room.name.casefold() == new.name.casefold() for room in self._rooms):
            raise RoomExists
        if len(self._rooms) >= MAX_ROOMS:
            raise TooManyRooms
        room = Room(name=new.name, film=new.film)
        self._rooms.append(room)
        return room
