-- Tokens that keys were changed into for a while, by their hashes. One whose time is over is as if it were not there.

CREATE TABLE oauth_tokens (
    tenant BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    key_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE INDEX oauth_tokens_by_expiry ON oauth_tokens (tenant, expires_at);
