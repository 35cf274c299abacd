-- The history becomes the audit trail as well: what was called, from where, and how that ended. An event may be about
-- nobody's bot (an invitation). A NOT NULL cannot be taken from a column in place, so the table is made anew.
CREATE TABLE audited_events (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL, -- milliseconds since 1970
  user_id    TEXT,             -- whose bot or account it is about, if it is about one
  run        INTEGER,
  kind       TEXT    NOT NULL,
  actor      TEXT    NOT NULL, -- platform, owner, anonymous, or a user id
  detail     TEXT,
  action     TEXT,             -- the endpoint that was called, by its name in the OpenAPI document
  request_id TEXT,
  address    TEXT,             -- from where it was called
  agent      TEXT,             -- the caller's User-Agent
  status     INTEGER,          -- how the call ended (HTTP); NULL while that is not known
  code       TEXT              -- the code of the problem it was answered with
) STRICT;

INSERT INTO audited_events (id, at, user_id, run, kind, actor, detail)
  SELECT id, at, user_id, run, kind, actor, detail FROM events;

DROP TABLE events;
ALTER TABLE audited_events RENAME TO events;

CREATE INDEX events_of_a_bot ON events (user_id, id);
CREATE INDEX events_by_age ON events (at);
