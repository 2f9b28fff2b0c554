import json
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .conftest import Browser, Json, Server, Start


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        b"\x00\xff\xfe",
        "[]",
        "null",
        '"chat"',
        "{}",
        '{"type": "chat"}',
        '{"type": "nobody knows"}',
        '{"type": "chat", "id": "1", "text": ""}',
        '{"type": "chat", "id": "1", "text": "   "}',
        '{"type": "chat", "id": "../1", "text": "x"}',
        '{"type": "chat", "id": "1", "text": 1}',
        '{"type": "chat", "id": "1", "text": "x", "more": 1}',
        '{"type": "chat", "id": "1", "text": "\\ud800"}',
        json.dumps({"type": "chat", "id": "1", "text": "x" * 501}),
        '{"type": "playback", "playing": true, "position": -1}',
        '{"type": "playback", "playing": true, "position": 1e999}',
        '{"type": "playback", "playing": true, "position": NaN}',
        "[" * 5000,
    ],
)
def test_a_malformed_frame_is_answered_and_the_socket_stays(shared: Server, frame: str | bytes) -> None:
    with Browser(shared, shared.new_room(), "Ada") as ada:
        ada.say(frame)
        problem = ada.hear("error")
        assert problem["code"] == "malformed" and problem["text"]
        ada.chat("still here")
        assert ada.hear_texts(1) == ["still here"]


def test_text_is_kept_as_it_is(shared: Server) -> None:
    room, texts = shared.new_room(), ["<b>not bold</b>", "👩‍👩‍👧 ñ\u0000'; DROP TABLE room;--", "\u202ertl"]
    with Browser(shared, room, "Ada") as ada:
        for text in texts:
            ada.chat(text)
        assert ada.hear_texts(3) == texts


def close_code(server: Server, room: str, *frames: str) -> tuple[Json | None, int]:
    """The last frame that a socket says before it is closed, and the code."""
    said: Json | None = None
    with connect(f"{server.url}/api/rooms/{room}/socket".replace("http", "ws")) as socket:
        try:
            for frame in frames:
                socket.send(frame)
            while True:
                said = json.loads(socket.recv(15))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return said, closed.rcvd.code


HELLO = json.dumps({"type": "hello", "key": "0123456789abcdef", "name": "Ada", "after": 0})


def test_an_unknown_room_is_said_to_be_unknown(shared: Server) -> None:
    said, code = close_code(shared, "nowhere", HELLO)
    assert said is not None and said["code"] == "unknown_room" and code == 4404
    assert shared.ask("/api/rooms/nowhere")[0] == 404
    status, answer = shared.ask("/api/rooms/nowhere/poll", {"key": "0123456789abcdef", "name": "Ada"})
    assert (status, answer["code"]) == (404, "unknown_room")


@pytest.mark.parametrize("first", ["nonsense", '{"type": "ping", "sent": 1}', '{"type": "hello", "key": "short"}'])
def test_a_socket_begins_with_a_hello(shared: Server, first: str) -> None:
    said, code = close_code(shared, shared.new_room(), first)
    assert said is not None and said["code"] == "no_hello" and code == 1008


def test_a_huge_frame_closes_its_socket_alone(shared: Server) -> None:
    room = shared.new_room()
    with Browser(shared, room, "Ben") as ben:
        assert close_code(shared, room, HELLO, "x" * 1_000_000)[1] == 1009
        ben.chat("still here")
        assert ben.hear_texts(1) == ["still here"]


def test_a_huge_or_malformed_body_is_refused(server: Server) -> None:
    assert server.ask("/api/rooms", b"x" * 1_000_000)[0] == 413
    assert server.ask("/api/rooms", b"{")[0] == 422
    assert server.ask("/api/rooms", {"name": "x" * 61, "key": "0123456789abcdef"})[0] == 422
    assert server.ask("/api/rooms", b'{"name": "\\ud800", "key": "0123456789abcdef"}')[0] == 422
    assert server.ask("/healthz")[0] == 200


def test_a_flood_is_told_to_slow_down_and_then_closed(server: Server) -> None:
    room = server.new_room()
    with Browser(server, room, "Ada") as ada:
        ids = [ada.chat(str(number)) for number in range(30)]
        problem = ada.hear("error")
        assert problem["code"] == "too_fast" and problem["id"] in ids
    flood = [HELLO] + [json.dumps({"type": "ping", "sent": number}) for number in range(200)]
    said, code = close_code(server, room, *flood)
    assert said is not None and said["code"] == "flood" and code == 1008


def test_rooms_of_one_address_are_bounded(server: Server) -> None:
    answers = [server.ask("/api/rooms", {"name": "Test", "key": "0123456789abcdef"})[0] for _ in range(40)]
    assert answers[:30] == [201] * 30 and 429 in answers


def test_a_full_database_is_said_and_what_is_there_can_be_read(start: Start) -> None:
    # SQLite's own limit: its errors are those of a full disk, and a test needs no disk of its own.
    server = start(DATABASE_MEGABYTES="1")
    room, text = server.new_room(), "x" * 500
    with Browser(server, room, "Ada") as ada:
        fill(server, room)
        id = ada.chat(text)
        problem = ada.hear("error")
        assert (problem["code"], problem["id"]) == ("storage_full", id)
        assert server.ask("/healthz")[0] == 200
        assert any(each["id"] == "friday" for each in server.ask("/api/rooms")[1])
        frames = [{"type": "chat", "id": "1", "text": text}]
        status, said = server.ask(
            f"/api/rooms/{room}/poll", {"key": "0123456789abcdef", "name": "Ben", "frames": frames}
        )
        assert (status, said[0]["type"], said[1]["code"]) == (200, "welcome", "storage_full")


def fill(server: Server, last: str) -> None:
    """Messages of many members, until the last room, which may have space of its own, takes none more."""
    rooms = [last] + [server.new_room() for _ in range(4)]
    for sender in range(300):
        room = rooms[sender % len(rooms)]
        frames = [{"type": "chat", "id": str(number), "text": "x" * 500} for number in range(20)]
        poll = {"key": f"0123456789abcdef{sender}", "name": "Ada", "after": 2**53, "frames": frames}
        _, said = server.ask(f"/api/rooms/{room}/poll", poll)
        if room == last and said[-1].get("code") == "storage_full":
            return
    raise AssertionError("never full")


def test_a_place_that_cannot_be_written_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(AssertionError, match=r"NotADirectoryError|FileExistsError"):
        Server(tmp_path / "file" / "state.db")
