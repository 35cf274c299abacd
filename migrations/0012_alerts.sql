-- Incidents, and how they are told. Times are milliseconds since 1970. Rules, states and limits are in core/src/alerts/.
CREATE TABLE incidents (
  num             INTEGER PRIMARY KEY, -- the order in which they were first seen
  id              TEXT    NOT NULL UNIQUE,
  rule            TEXT    NOT NULL,
  subject         TEXT    NOT NULL, -- a user id, a part of the platform, or a sink
  revision        INTEGER NOT NULL, -- grows with each change, so that of two ticks at once one loses
  first_seen_at   INTEGER NOT NULL,
  opened_at       INTEGER,          -- NULL while it has not held for long enough
  last_seen_at    INTEGER NOT NULL,
  gone_since      INTEGER,
  count           INTEGER NOT NULL,
  told_at         INTEGER,
  escalated_at    INTEGER,
  closed_at       INTEGER,
  closed_reason   TEXT,
  settled         INTEGER NOT NULL DEFAULT 0, -- closed, and nothing of it is to be told any more
  detail          TEXT,
  parent          TEXT,             -- the incident that explains it
  acknowledged_by TEXT,
  acknowledged_at INTEGER
) STRICT;

CREATE UNIQUE INDEX incidents_one_at_a_time ON incidents (rule, subject) WHERE closed_at IS NULL;
CREATE INDEX incidents_live ON incidents (num) WHERE settled = 0;
CREATE INDEX incidents_of_subject ON incidents (subject, num);
CREATE INDEX incidents_by_end ON incidents (closed_at) WHERE closed_at IS NOT NULL;

-- Only what is wrong is read each minute, however many bots there are.
CREATE INDEX bots_wrong ON bots (user_id)
  WHERE (awake = 1 AND (health <> 'healthy' OR state <> 'running')) OR state IN ('backing-off', 'crash-looped') OR incidents <> '[]';

-- Where alerts are told. What opens a sink is sealed with the key of the sessions.
CREATE TABLE alert_sinks (
  name          TEXT    PRIMARY KEY,
  kind          TEXT    NOT NULL,
  host          TEXT    NOT NULL,
  sealed        TEXT    NOT NULL,
  changed_by    TEXT    NOT NULL,
  changed_at    INTEGER NOT NULL,
  delivered_at  INTEGER,
  failing_since INTEGER,
  last_error    TEXT
) STRICT;

-- What is to be told, one row for each sink, until it is done.
CREATE TABLE alert_deliveries (
  num        INTEGER PRIMARY KEY,
  message_id TEXT    NOT NULL UNIQUE, -- of incident, kind and sink: nothing is told twice
  incident   TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  sink       TEXT    NOT NULL,
  notice     TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  next_at    INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  done_at    INTEGER,
  delivered  INTEGER NOT NULL DEFAULT 0,
  last_error TEXT
) STRICT;

CREATE INDEX alert_deliveries_due ON alert_deliveries (next_at) WHERE done_at IS NULL;
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (sink, incident, num) WHERE done_at IS NULL;
CREATE INDEX alert_deliveries_by_end ON alert_deliveries (done_at) WHERE done_at IS NOT NULL;

-- What is recorded and not told. An empty text stands for every rule, and for every subject.
CREATE TABLE alert_mutes (
  rule     TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  until    INTEGER NOT NULL,
  muted_by TEXT    NOT NULL,
  muted_at INTEGER NOT NULL,
  PRIMARY KEY (rule, subject)
) STRICT;

-- Thresholds and quiet hours: one document.
CREATE TABLE alert_settings (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  document   TEXT    NOT NULL,
  changed_by TEXT    NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
