-- Metrics. What is counted, each series by its name; who counts adds, so that many may at once. Series: core/src/metrics/table.rs.
CREATE TABLE metric_counts (
  series TEXT    PRIMARY KEY,
  value  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How requests were answered, by the minute and by what they were for: for the alert about answers that fail. Kept for an hour.
CREATE TABLE answers_by_minute (
  minute  INTEGER NOT NULL, -- since 1970
  class   TEXT    NOT NULL,
  answers INTEGER NOT NULL,
  failed  INTEGER NOT NULL,
  PRIMARY KEY (minute, class)
) STRICT, WITHOUT ROWID;

-- How many bots are in each state. Counting them would read a row of each; this costs two rows where a state changes.
CREATE TABLE bots_by_state (
  state TEXT    PRIMARY KEY,
  bots  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO bots_by_state (state, bots)
  SELECT value, (SELECT count(*) FROM bots WHERE state = value) FROM json_each('["asleep", "starting", "restoring", "running", "unhealthy", "stopping", "backing-off", "crash-looped", "stopped", "suspended"]');

-- Whoever makes the table bots anew has to make these anew as well.
CREATE TRIGGER bots_counted AFTER INSERT ON bots BEGIN
  UPDATE bots_by_state SET bots = bots + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER bots_recounted AFTER UPDATE OF state ON bots WHEN NEW.state <> OLD.state BEGIN
  UPDATE bots_by_state SET bots = bots + CASE state WHEN NEW.state THEN 1 ELSE -1 END WHERE state IN (NEW.state, OLD.state);
END;
CREATE TRIGGER bots_uncounted AFTER DELETE ON bots BEGIN
  UPDATE bots_by_state SET bots = bots - 1 WHERE state = OLD.state;
END;
