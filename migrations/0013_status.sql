-- How each bot is, beside its state: what pages read without asking its Sandbox. Times are milliseconds since 1970.
ALTER TABLE bots ADD COLUMN healthy_at INTEGER; -- when its gateway was last observed healthy
ALTER TABLE bots ADD COLUMN restarts TEXT NOT NULL DEFAULT '[]'; -- of the last 24 hours, a JSON list (core/src/bot/restarts.rs)
ALTER TABLE bots ADD COLUMN memory INTEGER; -- bytes in use; NULL while nothing runs
ALTER TABLE bots ADD COLUMN memory_peak INTEGER; -- of the last run
ALTER TABLE bots ADD COLUMN memory_limit INTEGER;
ALTER TABLE bots ADD COLUMN disk INTEGER; -- bytes in use, as they were last
ALTER TABLE bots ADD COLUMN disk_size INTEGER;
ALTER TABLE bots ADD COLUMN unsaved_since INTEGER; -- NULL where all is saved
ALTER TABLE bots ADD COLUMN drilled_at INTEGER; -- the last restore drill
ALTER TABLE bots ADD COLUMN drill TEXT; -- what came of it

-- What the fleet's series counts beside those that are awake: not the many that sleep.
CREATE INDEX bots_resting ON bots (state) WHERE awake = 0 AND state <> 'asleep';

-- Time series (core/src/bot/series.rs). A bot's point of five minutes, while it is awake; kept for 48 hours. By time first: the
-- oldest are found without another index, which would be one more row for each point.
CREATE TABLE bot_series (
  step     INTEGER NOT NULL, -- when it began
  user_id  TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  health   TEXT    NOT NULL,
  memory   INTEGER, -- bytes
  disk     INTEGER,
  cpu      INTEGER, -- thousandths of a core since the point before
  latency  INTEGER, -- milliseconds that its gateway took to answer its supervisor
  restarts INTEGER NOT NULL,
  PRIMARY KEY (step, user_id)
) STRICT, WITHOUT ROWID;

-- The same by the hour, kept for 90 days.
CREATE TABLE bot_series_hourly (
  hour        INTEGER NOT NULL,
  user_id     TEXT    NOT NULL,
  looks       INTEGER NOT NULL, -- points of five minutes
  healthy     INTEGER NOT NULL, -- of these
  memory      INTEGER, -- the average, and the most
  memory_max  INTEGER,
  disk        INTEGER,
  cpu         INTEGER,
  cpu_max     INTEGER,
  latency     INTEGER,
  latency_max INTEGER,
  restarts    INTEGER NOT NULL,
  PRIMARY KEY (hour, user_id)
) STRICT, WITHOUT ROWID;

-- How many bots were where, each five minutes for 48 hours.
CREATE TABLE fleet_series (
  step         INTEGER PRIMARY KEY,
  registered   INTEGER NOT NULL,
  awake        INTEGER NOT NULL,
  waiting      INTEGER NOT NULL, -- for a slot
  incidents    INTEGER NOT NULL, -- open ones
  asleep       INTEGER NOT NULL,
  starting     INTEGER NOT NULL,
  restoring    INTEGER NOT NULL,
  running      INTEGER NOT NULL,
  unhealthy    INTEGER NOT NULL,
  stopping     INTEGER NOT NULL,
  backing_off  INTEGER NOT NULL,
  crash_looped INTEGER NOT NULL,
  stopped      INTEGER NOT NULL,
  suspended    INTEGER NOT NULL
) STRICT;

-- The most there were in an hour, for 90 days.
CREATE TABLE fleet_series_hourly (
  hour         INTEGER PRIMARY KEY,
  looks        INTEGER NOT NULL,
  registered   INTEGER NOT NULL,
  awake        INTEGER NOT NULL, -- on average
  awake_max    INTEGER NOT NULL,
  waiting      INTEGER NOT NULL,
  incidents    INTEGER NOT NULL,
  asleep       INTEGER NOT NULL,
  starting     INTEGER NOT NULL,
  restoring    INTEGER NOT NULL,
  running      INTEGER NOT NULL,
  unhealthy    INTEGER NOT NULL,
  stopping     INTEGER NOT NULL,
  backing_off  INTEGER NOT NULL,
  crash_looped INTEGER NOT NULL,
  stopped      INTEGER NOT NULL,
  suspended    INTEGER NOT NULL
) STRICT;

-- Which hour cron sums up next.
CREATE TABLE series_progress (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  hour INTEGER NOT NULL
) STRICT;
