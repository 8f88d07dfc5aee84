-- The user for whom a key was made, and whether it may be used now: one that is not can be activated again, unlike one that was
-- revoked.
ALTER TABLE api_keys ADD COLUMN user_id INTEGER;
ALTER TABLE api_keys ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE;
