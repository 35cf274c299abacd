-- Where an owner is told about their own bot, one each. Messages wait in alert_deliveries, under the name of the sink that
-- core/src/alerts/owner.rs makes of the user id. A row stays when the sink is removed, with what bounds its tests.
CREATE TABLE owner_sinks (
  user_id       TEXT    PRIMARY KEY,
  kind          TEXT,             -- NULL, as all that follows: there is none any more
  host          TEXT,
  sealed        TEXT,             -- what opens it, with the key of the sessions
  changed_at    INTEGER NOT NULL, -- milliseconds since 1970, as all times here
  delivered_at  INTEGER,
  failing_since INTEGER,
  last_error    TEXT,
  tests         INTEGER NOT NULL DEFAULT 0, -- tried by hand in the hour that began then
  tests_since   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How many an owner was sent within an hour; nothing of the admins' own is in it.
CREATE INDEX alert_deliveries_of_owners ON alert_deliveries (sink, created_at) WHERE sink GLOB 'owner-*';
