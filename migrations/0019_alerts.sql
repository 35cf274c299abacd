-- When the owner of the bot an incident is about was told: what admins mute holds back nothing of theirs.
ALTER TABLE incidents ADD COLUMN owner_told_at INTEGER;
UPDATE incidents SET owner_told_at = told_at WHERE settled = 0;

-- How far bots that sleep were asked about BOT_MONTHLY_LIMIT as it is now: one document (core/src/jobs/limit_review.rs).
CREATE TABLE limit_review (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  document TEXT    NOT NULL
) STRICT;
