-- What bots use, a row for each bot and day. A Sandbox writes what its day has had so far, so that writing it twice changes nothing;
-- operations in repositories are added by the isolates that did them. Kept for 400 days. Prices are in core/src/cost/prices.rs.
CREATE TABLE bot_usage (
  day           INTEGER NOT NULL, -- of UTC, counted from 1970-01-01
  user_id       TEXT    NOT NULL,
  running_ms    INTEGER NOT NULL DEFAULT 0,
  cpu_ms        INTEGER NOT NULL DEFAULT 0, -- of a core
  unmeasured_ms INTEGER NOT NULL DEFAULT 0, -- of running_ms, in which nobody said how much of the processor was used
  requests      INTEGER NOT NULL DEFAULT 0,
  class_a       INTEGER NOT NULL DEFAULT 0, -- operations of R2 that write or list
  class_b       INTEGER NOT NULL DEFAULT 0, -- operations of R2 that read
  PRIMARY KEY (day, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX bot_usage_of_bot ON bot_usage (user_id, day);

-- What an admin decided a bot may cost in a month, in place of BOT_MONTHLY_LIMIT. The Sandbox has it as well, and goes by that.
CREATE TABLE bot_limits (
  user_id            TEXT    PRIMARY KEY,
  limit_microdollars INTEGER, -- NULL for no limit
  set_by             TEXT    NOT NULL,
  set_at             INTEGER NOT NULL -- milliseconds since 1970
) STRICT;
