-- What the fleet's list shows of a bot beside its state: its newest snapshot, and what is wrong with it.
ALTER TABLE bots ADD COLUMN snapshot_at INTEGER; -- milliseconds since 1970; NULL while none is known
ALTER TABLE bots ADD COLUMN incidents TEXT NOT NULL DEFAULT '[]'; -- the kinds of the open ones, a JSON list
