-- When a failed sign-in to the account was last written into its history, and by what those are found: nobody but the
-- identity provider knows whose a wrong password is, and it does not say.
ALTER TABLE users ADD COLUMN failed_sign_in_at INTEGER; -- milliseconds since 1970; NULL while there was none
CREATE INDEX users_by_email ON users (lower(email));
