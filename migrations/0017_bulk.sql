-- Orders of admins to many bots, and what became of each bot. Times are milliseconds since 1970. Verbs, outcomes and limits are in
-- core/src/jobs/bulk.rs.
CREATE TABLE bulk_orders (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  verb        TEXT    NOT NULL,
  ordered_by  TEXT    NOT NULL, -- the admin's user id
  ordered_at  INTEGER NOT NULL,
  selection   TEXT    NOT NULL, -- in words
  bots        INTEGER NOT NULL, -- 0 while they are not written down
  stopped_by  TEXT,
  stopped_at  INTEGER,
  finished_at INTEGER,
  results     TEXT              -- how many bots came to which end, once it is finished
) STRICT;

CREATE INDEX bulk_orders_open ON bulk_orders (id) WHERE finished_at IS NULL;

CREATE TABLE bulk_bots (
  order_id         INTEGER NOT NULL,
  user_id          TEXT    NOT NULL,
  queued_at        INTEGER NOT NULL DEFAULT 0, -- put on the queue last
  claimed_at       INTEGER NOT NULL DEFAULT 0, -- tried last
  first_claimed_at INTEGER,
  tries            INTEGER NOT NULL DEFAULT 0,
  outcome          TEXT,
  detail           TEXT,
  done_at          INTEGER,
  PRIMARY KEY (order_id, user_id)
) STRICT, WITHOUT ROWID;

-- Each minute only what is not done is read.
CREATE INDEX bulk_bots_open ON bulk_bots (order_id, user_id, queued_at, claimed_at) WHERE outcome IS NULL;
CREATE INDEX bulk_bots_by_outcome ON bulk_bots (order_id, outcome, user_id);
