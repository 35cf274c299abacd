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

-- Bots that rest for another reason than that nobody wants them: a scrape counts these and those that are awake, and all others are asleep.
CREATE INDEX bots_stopped ON bots (state) WHERE awake = 0 AND state IN ('stopped', 'suspended', 'backing-off', 'crash-looped');
