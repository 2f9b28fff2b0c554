"""What the server takes at most. Whoever asks for more is told so."""

MAX_ROOMS = 500
# A room that nobody came to for a week may go when another needs its place.
ROOM_DAYS = 7
MAX_ROOM_CONNECTIONS = 50
MAX_CONNECTIONS = 1000
MAX_NAME = 40
MAX_ROOM_NAME = 60
MAX_TEXT = 500
# Older messages of a room are forgotten; of those that are left a newcomer gets the last ones.
KEPT_MESSAGES = 1000
SHOWN_MESSAGES = 200
# uvicorn closes a socket with 1009 beyond the same number: see the Dockerfile.
MAX_FRAME_BYTES = 16_384
MAX_FRAMES_PER_POLL = 20
# Frames of a connection, and rooms of an address: so many at once, and so many a second from then on.
FRAME_BURST, FRAMES_PER_SECOND = 20, 5.0
ROOM_BURST, ROOMS_PER_SECOND = 30, 0.5
# Frames that one who was told to slow down may still send before the socket is closed.
PATIENCE = 50
# A connection that waits for so many frames to be sent is closed, and catches up when it comes back.
MAX_WAITING = 256
