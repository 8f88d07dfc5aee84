-- Keys of requests that must have their effect once. A row that has expired is as if it were not there.

CREATE TABLE idempotency_keys (
    tenant BIGINT NOT NULL,
    key BYTEA NOT NULL,
    actor TEXT NOT NULL,
    -- Who runs the request; another one for each attempt.
    holder BYTEA NOT NULL,
    -- While the request runs the end of its lease, afterwards how long the answer is kept.
    expires_at BIGINT NOT NULL,
    -- 0 while the request runs; then the rest is empty.
    status BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    headers TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
