-- More states, and whether a bot may have a container: what the clock looks at and what takes a place. A CHECK
-- cannot be changed in place, so the table is made anew.
CREATE TABLE bots_of_more_states (
  user_id   TEXT    PRIMARY KEY,
  state     TEXT    NOT NULL CHECK (state IN ('asleep', 'starting', 'restoring', 'running', 'unhealthy', 'stopping', 'backing-off', 'crash-looped', 'stopped', 'suspended')),
  awake     INTEGER NOT NULL DEFAULT 0,
  run       INTEGER NOT NULL,
  since     INTEGER NOT NULL, -- milliseconds since 1970
  pinned    INTEGER NOT NULL DEFAULT 0,
  active_at INTEGER NOT NULL DEFAULT 0, -- when the owner's traffic last did something, as far as the clock knows
  ticked_at INTEGER NOT NULL DEFAULT 0,
  health    TEXT    NOT NULL DEFAULT 'unknown' CHECK (health IN ('healthy', 'unhealthy', 'unknown'))
) STRICT;

INSERT INTO bots_of_more_states (user_id, state, awake, run, since, pinned, active_at, ticked_at, health)
  SELECT user_id, state, state IN ('starting', 'running', 'stopping'), run, since, pinned, active_at, ticked_at, health FROM bots;

DROP TABLE bots;
ALTER TABLE bots_of_more_states RENAME TO bots;

-- The clock's one query reads only bots that may be awake, however many are registered.
CREATE INDEX bots_awake ON bots (ticked_at) WHERE awake = 1;
