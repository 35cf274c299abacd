-- The clock. A Sandbox that is awake writes its heartbeat; cron has those looked at whose heartbeat is late, each by one at a time.
-- From here on ticked_at is when cron last took a bot up: nobody else does for a while (core/src/bot/heartbeat.rs).
ALTER TABLE bots ADD COLUMN heartbeat_at INTEGER NOT NULL DEFAULT 0; -- milliseconds since 1970, as all times here

DROP INDEX bots_awake;
-- Cron's one query reads only what is late, however many are registered or awake. Activity has no index: it changes every minute.
CREATE INDEX bots_awake ON bots (heartbeat_at) WHERE awake = 1;

-- What cron did, a row a tick; the last day of them is kept.
CREATE TABLE cron_ticks (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER, -- NULL while it runs, and for one that was cut short
  late        INTEGER NOT NULL DEFAULT 0, -- bots whose heartbeat was late
  queued      INTEGER NOT NULL DEFAULT 0, -- messages put on the queue
  consumed    INTEGER NOT NULL DEFAULT 0, -- of these, how many were done
  consumed_at INTEGER -- when the last of them was
) STRICT;

-- Messages that could not be done, or not be read, and were given up; kept for a quarter of a year.
CREATE TABLE dead_jobs (
  id   INTEGER PRIMARY KEY,
  at   INTEGER NOT NULL,
  body TEXT    NOT NULL -- its beginning
) STRICT;

-- How the platform is, by its parts.
CREATE TABLE platform_health (
  component  TEXT    PRIMARY KEY,
  state      TEXT    NOT NULL CHECK (state IN ('ok', 'degraded', 'down', 'unknown')),
  since      INTEGER NOT NULL,
  reason     TEXT,
  checked_at INTEGER NOT NULL
) STRICT;
