-- What a community decides for itself; what it does not say is the default.
ALTER TABLE communities ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- Since when the file of a job is gone, what became of its rows, and some of what it changed.
ALTER TABLE jobs ADD COLUMN file_erased_at BIGINT;
ALTER TABLE jobs ADD COLUMN results_expired_at BIGINT;
ALTER TABLE jobs ADD COLUMN history_expired_at BIGINT;
CREATE INDEX jobs_with_file ON jobs (tenant, finished_at, id) WHERE file_erased_at IS NULL;
CREATE INDEX jobs_with_results ON jobs (tenant, finished_at, id) WHERE results_expired_at IS NULL;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (tenant, occurred_at, id);

-- What users held where their history begins, as far as it was pruned: after this version, since this time, as one change set.
CREATE TABLE user_openings (
    tenant BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id)
);

-- Work that one process does for all of them: who does it, until when by the database's clock.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
