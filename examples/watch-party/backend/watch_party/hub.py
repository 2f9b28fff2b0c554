"""
Who is connected to this container, and how they learn what is new.

A frame that a browser sends is written to the database. What is new there is read for each room and sent to those who
are in it; another container's writes are noticed by SQLite's data_version, asked ten times a second.
"""

import asyncio
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from .limits import MAX_WAITING
from .protocol import (
    Chat,
    HandOver,
    Member,
    Members,
    Messages,
    Ping,
    Play,
    PlaybackIs,
    Pong,
    Problem,
    Refused,
    Said,
    Visit,
    Welcome,
    member_of,
)
from .store import News, Store, storage_problem

LOOK_SECONDS = 0.1
# Who has gone is noticed although nothing is written.
LOOK_ANYWAY_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
# What comes within this time is read and sent together.
GATHER_SECONDS = 0.02

log = logging.getLogger("uvicorn.error")
P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """The store in a thread of its own: the event loop never waits for a disk or for another container's lock."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._thread = ThreadPoolExecutor(1, "database")
        self._store = open_store()

    async def do(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises Refused, also where the database cannot be written."""

        def run() -> T:
            return work(self._store, *args, **kwargs)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except sqlite3.Error as cause:
            log.warning("database: %s", cause)
            raise storage_problem(cause) from cause

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown()


@dataclass(frozen=True)
class Visitor:
    """A member in a room, over one connection."""

    room: str
    connection: str
    member: str
    name: str

    @classmethod
    def of(cls, visit: Visit, room: str, connection: str) -> "Visitor":
        return cls(room, connection, member_of(visit.key), visit.name)


@dataclass(eq=False)
class Connection:
    """A socket: what is to be sent to it waits here, so that a slow one holds up nobody."""

    visitor: Visitor
    waiting: asyncio.Queue[Said] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    # What it has: of messages the last one, of the playback the revision.
    seq: int = 0
    revision: int = -1
    members: list[Member] = field(default_factory=list)
    # Set where it does not take what it is sent; it catches up when it comes back.
    too_slow: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, said: Said) -> None:
        try:
            self.waiting.put_nowait(said)
        except asyncio.QueueFull:
            self.too_slow.set()

    def tell_news(self, news: News) -> None:
        messages = [message for message in news.messages if message.seq > self.seq]
        if messages:
            self.seq = messages[-1].seq
            self.tell(Messages(messages=messages))
        if news.playback.revision > self.revision:
            self.revision = news.playback.revision
            self.tell(PlaybackIs(playback=news.playback))
        if news.members != self.members:
            self.members = news.members
            self.tell(Members(members=news.members))


class Hub:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._connections: dict[str, set[Connection]] = defaultdict(set)
        self._touched: set[str] = set()
        self._wake = asyncio.Event()

    @property
    def count(self) -> int:
        return sum(map(len, self._connections.values()))

    async def welcome(self, visitor: Visitor, after: int) -> Welcome:
        """Lets a visitor in and says how things stand."""
        now = time.time()
        room = await self._database.do(Store.room, visitor.room, now)
        try:
            await self._database.do(Store.enter, visitor.room, visitor.connection, visitor.member, visitor.name, now)
        except Refused as refused:
            # Where nothing can be written, what is there can still be read.
            if not refused.code.startswith("storage"):
                raise
        self._touch(visitor.room)
        news = await self._database.do(Store.news, visitor.room, after, now)
        return Welcome(
            you=visitor.member,
            room=room,
            now=time.time(),
            messages=news.messages,
            members=news.members,
            playback=news.playback,
        )

    async def join(self, visitor: Visitor, after: int) -> Connection:
        """From the welcome on, a connection hears all that is new and nothing twice."""
        welcome = await self.welcome(visitor, after)
        connection = Connection(
            visitor=visitor,
            seq=welcome.messages[-1].seq if welcome.messages else after,
            revision=welcome.playback.revision,
            members=welcome.members,
        )
        connection.tell(welcome)
        self._connections[visitor.room].add(connection)
        # What was written between the two is not lost on it.
        self._touch(visitor.room)
        return connection

    async def leave(self, connection: Connection) -> None:
        room = connection.visitor.room
        self._connections[room].discard(connection)
        if not self._connections[room]:
            del self._connections[room]
        await self._database.do(Store.leave, connection.visitor.connection, time.time())

    async def take(self, visitor: Visitor, frame: Chat | Play | HandOver | Ping) -> Said | None:
        """Does what a frame asks for. The answer is for its sender alone; what is new all get alike."""
        now = time.time()
        try:
            match frame:
                case Ping():
                    return Pong(sent=frame.sent, now=now)
                case Chat():
                    await self._database.do(
                        Store.add_message,
                        visitor.room,
                        id=frame.id,
                        member=visitor.member,
                        name=visitor.name,
                        text=frame.text,
                        now=now,
                    )
                case Play():
                    await self._database.do(
                        Store.play,
                        visitor.room,
                        member=visitor.member,
                        playing=frame.playing,
                        position=frame.position,
                        now=now,
                    )
                case HandOver():
                    await self._database.do(
                        Store.hand_over, visitor.room, member=visitor.member, to=frame.member, now=now
                    )
        except Refused as refused:
            return Problem(code=refused.code, text=refused.text, id=frame.id if isinstance(frame, Chat) else None)
        self._touch(visitor.room)
        return None

    def _touch(self, room: str) -> None:
        self._touched.add(room)
        self._wake.set()

    async def watch(self) -> None:
        """Tells the rooms what is new, until it is cancelled."""
        seen, looked, beat = -1, 0.0, time.monotonic()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            self._wake.clear()
            try:
                now = time.monotonic()
                if now - beat > HEARTBEAT_SECONDS:
                    beat = now
                    await self._stay()
                changed = await self._database.do(Store.changed_by)
                if changed != seen or now - looked > LOOK_ANYWAY_SECONDS:
                    seen, looked = changed, now
                    self._touched.clear()
                    await self._tell(list(self._connections))
                elif self._touched:
                    touched, self._touched = self._touched, set()
                    await self._tell(touched)
            except Refused as refused:
                # The next look may find it well again.
                log.warning("the rooms could not be told what is new: %s", refused)
            await asyncio.sleep(GATHER_SECONDS)

    async def _stay(self) -> None:
        ids = [each.visitor.connection for room in self._connections.values() for each in room]
        if ids:
            await self._database.do(Store.stay, ids, time.time())

    async def _tell(self, rooms: Iterable[str]) -> None:
        for room in rooms:
            connections = self._connections.get(room)
            if not connections:
                continue
            after = min(each.seq for each in connections)
            try:
                news = await self._database.do(Store.news, room, after, time.time())
            except Refused as refused:
                for connection in connections:
                    connection.tell(Problem(code=refused.code, text=refused.text))
                continue
            for connection in list(connections):
                connection.tell_news(news)
