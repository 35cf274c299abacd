-- Personal access tokens, which devices and programs have in place of a sign-in. Times are milliseconds since 1970.
CREATE TABLE personal_tokens (
  token_id   TEXT PRIMARY KEY,    -- by which its owner speaks of it
  hash       TEXT NOT NULL UNIQUE, -- SHA-256 of the token, in base64url; the token itself is nowhere
  user_id    TEXT NOT NULL,
  name       TEXT NOT NULL,
  scope      TEXT NOT NULL,       -- connect or manage
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at    INTEGER              -- the last use, out of date by an hour at most
);
CREATE INDEX personal_tokens_by_user ON personal_tokens (user_id, created_at);
