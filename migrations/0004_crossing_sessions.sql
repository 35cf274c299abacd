-- The session that crosses, sealed: which it is, so that it is renewed and ended on both hosts as one.
ALTER TABLE crossings ADD COLUMN session TEXT NOT NULL DEFAULT '';
