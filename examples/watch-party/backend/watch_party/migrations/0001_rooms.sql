-- Times are seconds since 1970; a member is known by a digest of a key that its browser keeps.
CREATE TABLE room (
  id       TEXT PRIMARY KEY,
  name     TEXT NOT NULL,
  listed   INTEGER NOT NULL,            -- whether the landing page shows it
  host     TEXT,                        -- the member who leads; nobody yet in the rooms below
  seen     REAL,                        -- when somebody last came or wrote; a room without is never given up
  playing  INTEGER NOT NULL DEFAULT 0,
  position REAL NOT NULL DEFAULT 0,     -- seconds into the film at the time `at`
  at       REAL NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0   -- grows with each change of host or playback
) STRICT;

-- One order for all rooms, in which commits happen: who has read up to a number has missed nothing below it.
CREATE TABLE message (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  room   TEXT NOT NULL REFERENCES room (id) ON DELETE CASCADE,
  id     TEXT NOT NULL,                 -- given by the sender: what is sent twice is kept once
  member TEXT NOT NULL,
  name   TEXT NOT NULL,
  text   TEXT NOT NULL,
  at     REAL NOT NULL,
  UNIQUE (room, member, id)
) STRICT;
CREATE INDEX message_by_room ON message (room, seq);

-- A row a connection, not a member: a member who moves from an old container to a new one is never away.
CREATE TABLE presence (
  connection TEXT PRIMARY KEY,
  room       TEXT NOT NULL REFERENCES room (id) ON DELETE CASCADE,
  member     TEXT NOT NULL,
  name       TEXT NOT NULL,
  until      REAL NOT NULL
) STRICT;
CREATE INDEX presence_by_room ON presence (room, until);

INSERT INTO room (id, name, listed) VALUES
  ('friday', 'Friday night', 1),
  ('silent', 'Silent cinema', 1),
  ('family', 'Family sofa', 1);
