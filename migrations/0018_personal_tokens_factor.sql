-- Whether whoever made the token had proven a second factor. Of those from before nobody knows, so they count as made without.
ALTER TABLE personal_tokens ADD COLUMN mfa INTEGER NOT NULL DEFAULT 0;
