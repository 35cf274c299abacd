-- The registry of bots: what each Sandbox last said about itself. The Sandbox's own store is the truth; this
-- is for the clock (which bots to look at) and for the admins (the fleet at a glance).
CREATE TABLE bots (
  user_id   TEXT    PRIMARY KEY,
  state     TEXT    NOT NULL CHECK (state IN ('asleep', 'starting', 'running', 'stopping', 'backing-off', 'stopped', 'suspended')),
  run       INTEGER NOT NULL,
  since     INTEGER NOT NULL, -- milliseconds since 1970
  pinned    INTEGER NOT NULL DEFAULT 0,
  active_at INTEGER NOT NULL DEFAULT 0, -- when the owner's traffic last did something, as far as the clock knows
  ticked_at INTEGER NOT NULL DEFAULT 0,
  health    TEXT    NOT NULL DEFAULT 'unknown' CHECK (health IN ('healthy', 'unhealthy', 'unknown'))
) STRICT;

-- The clock's one query reads only bots that ought to be awake, however many are registered.
CREATE INDEX bots_awake ON bots (ticked_at) WHERE state NOT IN ('asleep', 'stopped', 'suspended');
