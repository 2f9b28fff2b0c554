"""
The database: the one truth of all containers that run, the old and the new one during a deploy.

Each has it open, and WAL lets them read while one writes. Nothing is remembered beside it, so that what is said to one
container is known to the other.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

from .limits import KEPT_MESSAGES, MAX_ROOM_CONNECTIONS, MAX_ROOMS, ROOM_DAYS, SHOWN_MESSAGES
from .protocol import Member, Message, Playback, Refused, Room

# A connection that ends without a word is away after so long; see HEARTBEAT_SECONDS in hub.py.
AWAY_SECONDS = 15.0
# One that is closed may come back at once, to a new container or by a reload: it is not away before.
RETURN_SECONDS = 3.0

ROOMS = """
  SELECT id, name, (SELECT count(DISTINCT member) FROM presence WHERE room = room.id AND until > ?) AS viewers
  FROM room"""


def database_path() -> Path:
    """Where nothing is configured, state lives as long as the container: /tmp is no change of the image's files."""
    return Path(os.environ.get("DATABASE", "/tmp/watch-party/state.db"))  # noqa: S108


def connect(path: Path, megabytes: int | None = None) -> sqlite3.Connection:
    """Opens the database, and makes it where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without an isolation level a transaction is what BEGIN and COMMIT say. One thread alone uses it.
    db = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    # In WAL a commit survives a crash of the process. A power failure may take the last ones, and none in half.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    size = int(os.environ.get("DATABASE_MEGABYTES", "256")) if megabytes is None else megabytes
    page = int(db.execute("PRAGMA page_size").fetchone()[0])
    db.execute(f"PRAGMA max_page_count = {size * 1024 * 1024 // page}")
    return db


@dataclass(frozen=True)
class News:
    """What is to be known of a room."""

    messages: list[Message]
    members: list[Member]
    playback: Playback


class Store:
    """Its methods block: the server calls them in a thread of their own, one after the other."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All or nothing; the lock is taken at once, so that what is read within is what is written on."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk may have ended the transaction already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def check(self, schema: int) -> None:
        """Raises where this release could not work with the database: it is asked for its health."""
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if found < schema:
            raise Refused("schema", f"schema {found}, this release needs {schema}: python -m watch_party.migrate")
        # The lock of a writer without a write: a database that is read-only is told apart from one that is full.
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("ROLLBACK")

    def changed_by(self) -> int:
        """Another number when another connection, of this container or another one, has changed something."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def rooms(self, now: float) -> list[Room]:
        rows = self._db.execute(
            f"{ROOMS} WHERE listed ORDER BY viewers DESC, rowid LIMIT 100",
            (now,),
        )
        return [Room(**row) for row in rows]

    def room(self, id: str, now: float) -> Room:
        row = self._db.execute(
            f"{ROOMS} WHERE id = ?",
            (now, id),
        ).fetchone()
        if row is None:
            raise Refused("unknown_room", "There is no such room.")
        return Room(**row)

    def add_room(self, name: str, *, host: str, listed: bool, now: float) -> Room:
        with self._writing():
            count = self._db.execute("SELECT count(*) FROM room").fetchone()[0]
            if count >= MAX_ROOMS:
                gone = self._db.execute("DELETE FROM room WHERE seen < ?", (now - ROOM_DAYS * 86_400,)).rowcount
                if gone == 0:
                    raise Refused("too_many_rooms", "No more rooms can be opened at the moment.")
            id = token_urlsafe(8)
            self._db.execute(
                "INSERT INTO room (id, name, listed, host, seen) VALUES (?, ?, ?, ?, ?)",
                (id, name, int(listed), host, now),
            )
        return Room(id=id, name=name, viewers=0)

    def enter(self, room: str, connection: str, member: str, name: str, now: float) -> None:
        """Whoever enters a room without a host leads it."""
        with self._writing():
            self._db.execute("DELETE FROM presence WHERE until < ?", (now,))
            here = self._db.execute(
                "SELECT count(*) FROM presence WHERE room = ? AND connection != ?", (room, connection)
            ).fetchone()[0]
            if here >= MAX_ROOM_CONNECTIONS:
                raise Refused("room_full", f"There is no more room in here: {MAX_ROOM_CONNECTIONS} are watching.")
            self._db.execute(
                "INSERT OR REPLACE INTO presence (connection, room, member, name, until) VALUES (?, ?, ?, ?, ?)",
                (connection, room, member, name, now + AWAY_SECONDS),
            )
            self._db.execute("UPDATE room SET seen = ? WHERE id = ? AND seen IS NOT NULL", (now, room))
            self._db.execute(
                "UPDATE room SET host = ?, revision = revision + 1 WHERE id = ? AND host IS NULL", (member, room)
            )

    def stay(self, connections: Sequence[str], now: float) -> None:
        with self._writing():
            self._db.executemany(
                "UPDATE presence SET until = ? WHERE connection = ?",
                [(now + AWAY_SECONDS, connection) for connection in connections],
            )

    def leave(self, connection: str, now: float) -> None:
        with self._writing():
            self._db.execute("UPDATE presence SET until = ? WHERE connection = ?", (now + RETURN_SECONDS, connection))

    def add_message(self, room: str, *, id: str, member: str, name: str, text: str, now: float) -> None:
        """A message that is there already is left as it is: its sender had not heard of that."""
        with self._writing():
            self._db.execute(
                "INSERT INTO message (room, id, member, name, text, at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (room, member, id) DO NOTHING",
                (room, id, member, name, text, now),
            )
            self._db.execute(
                "DELETE FROM message WHERE room = ? AND seq <= "
                "(SELECT seq FROM message WHERE room = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (room, room, KEPT_MESSAGES),
            )
            self._db.execute("UPDATE room SET seen = ? WHERE id = ? AND seen IS NOT NULL", (now, room))

    def play(self, room: str, *, member: str, playing: bool, position: float, now: float) -> None:
        with self._writing():
            done = self._db.execute(
                "UPDATE room SET playing = ?, position = ?, at = ?, revision = revision + 1 WHERE id = ? AND host = ?",
                (int(playing), position, now, room, member),
            ).rowcount
            if done == 0:
                raise Refused("not_host", "Only the host starts, stops and seeks.")

    def hand_over(self, room: str, *, member: str, to: str, now: float) -> None:
        with self._writing():
            here = {each.id for each in self._members(room, now)}
            host = self._playback(room).host
            if to not in here:
                raise Refused("not_here", "Who is to lead is not here any more.")
            if host != member and (host in here or to != member):
                raise Refused("not_host", "Only the host hands over.")
            self._db.execute("UPDATE room SET host = ?, revision = revision + 1 WHERE id = ?", (to, room))

    def news(self, room: str, after: int, now: float) -> News:
        """What came after a message; a newcomer, who has none, gets the last ones."""
        limit = SHOWN_MESSAGES if after == 0 else KEPT_MESSAGES
        rows = self._db.execute(
            "SELECT seq, id, member, name, text, at FROM message WHERE room = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
            (room, after, limit),
        ).fetchall()
        return News(
            messages=[Message(**row) for row in reversed(rows)],
            members=self._members(room, now),
            playback=self._playback(room),
        )

    def _members(self, room: str, now: float) -> list[Member]:
        rows = self._db.execute(
            "SELECT member AS id, max(name) AS name FROM presence WHERE room = ? AND until > ? "
            "GROUP BY member ORDER BY name, id",
            (room, now),
        )
        return [Member(**row) for row in rows]

    def _playback(self, room: str) -> Playback:
        row = self._db.execute(
            "SELECT playing, position, at, host, revision FROM room WHERE id = ?", (room,)
        ).fetchone()
        if row is None:
            raise Refused("unknown_room", "This room is gone.")
        return Playback(**row)


def storage_problem(cause: sqlite3.Error) -> Refused:
    """What SQLite says, for people. Whoever wrote keeps what it wrote and tries again."""
    if "full" in str(cause):
        return Refused("storage_full", "The server has no space left; nothing was saved.")
    return Refused("storage", "The server cannot reach its storage; nothing was saved.")
