-- The history: who did what to which bot, when and why. Written by the Sandboxes and by admins' orders, read by
-- owners and admins, and forgotten after a quarter of a year (core/src/event.rs).
CREATE TABLE events (
  id      INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL, -- milliseconds since 1970
  user_id TEXT    NOT NULL, -- whose bot
  run     INTEGER,
  kind    TEXT    NOT NULL,
  actor   TEXT    NOT NULL, -- platform, owner, or an admin's user id
  detail  TEXT
) STRICT;

CREATE INDEX events_of_a_bot ON events (user_id, id);
CREATE INDEX events_by_age ON events (at);
