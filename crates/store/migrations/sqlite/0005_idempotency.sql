-- Keys of requests that must have their effect once. A row that has expired is as if it were not there.

CREATE TABLE idempotency_keys (
    tenant INTEGER NOT NULL,
    key BLOB NOT NULL,
    actor TEXT NOT NULL,
    -- Who runs the request; another one for each attempt.
    holder BLOB NOT NULL,
    -- While the request runs the end of its lease, afterwards how long the answer is kept.
    expires_at INTEGER NOT NULL,
    -- 0 while the request runs; then the rest is empty.
    status INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
