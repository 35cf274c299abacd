-- Everybody who was ever let in. A row stays when the user is deleted: an old token makes no new one.
CREATE TABLE users (
  user_id    TEXT    PRIMARY KEY,
  email      TEXT,             -- as the last token said it; for admins to recognise people by
  role       TEXT    NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')), -- as the last token said it; the token decides, not this
  status     TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
  status_by  TEXT,             -- the admin who set it
  status_at  INTEGER,          -- milliseconds since 1970, like every time here
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL  -- within an hour
) STRICT;

-- Who may become a user, besides those the setting ALLOW_LIST names. An invitation is used up by the first
-- user it lets in, a line of the allow-list never.
CREATE TABLE invitations (
  entry      TEXT    PRIMARY KEY, -- an e-mail address in lower case, or a user id
  invited_by TEXT    NOT NULL,
  invited_at INTEGER NOT NULL,
  used_by    TEXT,
  used_at    INTEGER
) STRICT;

CREATE TABLE allow_list (
  entry    TEXT    PRIMARY KEY, -- an e-mail address in lower case, @domain, or a user id
  added_by TEXT    NOT NULL,
  added_at INTEGER NOT NULL
) STRICT;

-- Anybody may claim any name; only one can have proven it. So nobody can keep a name from its owner.
CREATE TABLE domains (
  host        TEXT    NOT NULL,
  user_id     TEXT    NOT NULL,
  proof       TEXT    NOT NULL, -- what the TXT record has to say
  state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'verified')),
  added_at    INTEGER NOT NULL,
  verified_at INTEGER,
  verified_by TEXT,             -- 'dns', or the admin who took responsibility
  hostname_id TEXT,             -- Cloudflare's id of the custom hostname, where one was made
  PRIMARY KEY (host, user_id)
) STRICT;

CREATE UNIQUE INDEX domains_verified ON domains (host) WHERE state = 'verified';
CREATE INDEX domains_of_user ON domains (user_id);

-- Codes on their way from the platform's host to a bot's own: hashed, for a minute, deleted by being used.
CREATE TABLE crossings (
  code_hash  TEXT    PRIMARY KEY,
  host       TEXT    NOT NULL,
  user_id    TEXT    NOT NULL,
  challenge  TEXT    NOT NULL,
  next       TEXT    NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX crossings_expired ON crossings (expires_at);
