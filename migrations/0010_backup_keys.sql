-- Which bots still need an older BACKUP_KEY: the version of the newest key that is known to open a bot's repository; NULL until a
-- run of this version has opened it.
ALTER TABLE bots ADD COLUMN backup_key INTEGER;
