import signal
import time

import pytest
from websockets.exceptions import ConnectionClosed

from .conftest import Browser, Server, Start


def test_what_one_says_all_in_the_room_hear_once_and_in_order(server: Server) -> None:
    room, other = server.new_room(), server.new_room()
    with Browser(server, room, "Ada") as ada, Browser(server, room, "Ben") as ben, Browser(server, other, "Eve") as eve:
        for text in "one", "two", "three":
            ada.chat(text)
        assert ada.hear_texts(3) == ben.hear_texts(3) == ["one", "two", "three"]
        eve.chat("elsewhere")
        assert eve.hear_texts(1) == ["elsewhere"]


def test_a_message_that_is_sent_again_is_kept_once(server: Server) -> None:
    room = server.new_room()
    with Browser(server, room, "Ada") as ada:
        id = ada.chat("hello")
        ada.chat("hello", id)
        ada.chat("bye")
        assert ada.hear_texts(2) == ["hello", "bye"]


def test_who_comes_back_gets_what_was_said_meanwhile(server: Server) -> None:
    room = server.new_room()
    with Browser(server, room, "Ada") as ada:
        with Browser(server, room, "Ben") as ben:
            ada.chat("before")
            last = ben.hear("messages")["messages"][-1]["seq"]
        ada.chat("meanwhile")
        ada.hear_texts(2)
        with Browser(server, room, "Ben", ben.key, after=last) as ben:
            assert [message["text"] for message in ben.welcome["messages"]] == ["meanwhile"]


def test_the_host_leads_and_hands_over(server: Server) -> None:
    key = "the-host-has-this-key"
    room = server.new_room(key)
    with Browser(server, room, "Ada", key) as ada, Browser(server, room, "Ben") as ben:
        ben.say({"type": "playback", "playing": True, "position": 1})
        assert ben.hear("error")["code"] == "not_host"
        ada.say({"type": "playback", "playing": True, "position": 12.5})
        playback = ben.hear("playback")["playback"]
        assert (playback["playing"], playback["position"], playback["host"]) == (True, 12.5, ada.id)
        with Browser(server, room, "Cleo") as late:
            welcome = late.welcome
            assert welcome["playback"] == playback and welcome["now"] >= playback["at"]
        ben.say({"type": "host", "member": ben.id})
        assert ben.hear("error")["code"] == "not_host"
        ada.say({"type": "host", "member": ben.id})
        assert ben.hear("playback")["playback"]["host"] == ben.id
        ben.say({"type": "playback", "playing": False, "position": 20})
        assert ben.hear("playback")["playback"]["playing"] is False


def test_who_has_left_is_away_soon_and_the_lead_can_be_taken(server: Server) -> None:
    key = "the-host-has-this-key"
    room = server.new_room(key)
    with Browser(server, room, "Ben") as ben:
        with Browser(server, room, "Ada", key):
            assert [member["name"] for member in ben.hear("members")["members"]] == ["Ada", "Ben"]
        assert [member["name"] for member in ben.hear("members")["members"]] == ["Ben"]
        ben.say({"type": "host", "member": ben.id})
        assert ben.hear("playback")["playback"]["host"] == ben.id


def test_the_old_and_the_new_container_are_one_room(start: Start) -> None:
    old, new = start(), start()
    room = old.new_room()
    with Browser(old, room, "Ada") as ada, Browser(new, room, "Ben") as ben:
        assert {member["name"] for member in ben.welcome["members"]} == {"Ada", "Ben"}
        ada.chat("to the new one")
        assert ben.hear_texts(1) == ["to the new one"]
        ben.chat("to the old one")
        assert ada.hear_texts(2) == ["to the new one", "to the old one"]
        assert old.stop() == -signal.SIGTERM
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                ada.socket.recv(5)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        with Browser(new, room, "Ada", ada.key, after=0) as ada:
            assert [message["text"] for message in ada.welcome["messages"]] == ["to the new one", "to the old one"]


def test_without_a_socket_the_same_is_said_by_http(server: Server) -> None:
    room = server.new_room()
    with Browser(server, room, "Ada") as ada:
        poll = {"key": "a-browser-without-sockets", "name": "Ben", "after": 0}
        frames = [{"type": "chat", "id": "1", "text": "by HTTP"}, {"type": "ping", "sent": 7}]
        status, said = server.ask(f"/api/rooms/{room}/poll", {**poll, "frames": frames})
        assert status == 200
        assert [frame["type"] for frame in said] == ["welcome", "pong"]
        assert [message["text"] for message in said[0]["messages"]] == ["by HTTP"]
        assert ada.hear_texts(1) == ["by HTTP"]
        assert {member["name"] for member in said[0]["members"]} == {"Ada", "Ben"}


def test_the_rooms_of_the_landing_page_say_who_is_there(server: Server) -> None:
    _, rooms = server.ask("/api/rooms")
    assert [room["id"] for room in rooms] == ["friday", "silent", "family"]
    with Browser(server, "silent", "Ada"):
        _, rooms = server.ask("/api/rooms")
        assert (rooms[0]["id"], rooms[0]["viewers"]) == ("silent", 1)


def test_a_burst_and_then_a_fair_pace_arrive(server: Server) -> None:
    room = server.new_room()
    with Browser(server, room, "Ada") as ada:
        for number in range(25):
            ada.chat(str(number))
            time.sleep(0.2 if number > 15 else 0)
        assert ada.hear_texts(25) == [str(number) for number in range(25)]
