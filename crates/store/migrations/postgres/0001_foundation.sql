-- Communities, fields, keys, users with their history, and jobs.
-- Every table that grows with users begins its key with the community, so that it can be distributed by it.

CREATE TABLE communities (
    tenant BIGINT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE counters (
    tenant BIGINT NOT NULL PRIMARY KEY,
    next_user BIGINT NOT NULL,
    next_commit BIGINT NOT NULL,
    next_job BIGINT NOT NULL,
    next_field BIGINT NOT NULL
);

CREATE TABLE fields (
    tenant BIGINT NOT NULL,
    number BIGINT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    rules TEXT NOT NULL,
    built_in BOOLEAN NOT NULL,
    archived BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX fields_by_key ON fields (tenant, key);
CREATE UNIQUE INDEX fields_by_id ON fields (tenant, id);

CREATE TABLE api_keys (
    tenant BIGINT NOT NULL,
    id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (tenant, hash);

CREATE TABLE users (
    tenant BIGINT NOT NULL,
    id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    email TEXT,
    deleted BOOLEAN NOT NULL,
    field_values JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 50);
-- Half of each page is left free: a job that changes everybody then finds room for the new version of each user beside
-- the old one, and no index has to be touched.

-- What names exactly one live user: emails (field 0) and later identities and unique fields. Deleted users hold none.
CREATE TABLE user_keys (
    tenant BIGINT NOT NULL,
    field BIGINT NOT NULL,
    key TEXT NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (tenant, field, key)
);

-- Each commit that changed users: who, when, for which job. Its changes have the numbers
-- id * 2^20 … id * 2^20 + 2^20 - 1.
CREATE TABLE commits (
    tenant BIGINT NOT NULL,
    id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    job_id TEXT,
    actor TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX commits_by_job ON commits (tenant, job_id, id);

CREATE TABLE commit_fields (
    tenant BIGINT NOT NULL,
    field BIGINT NOT NULL,
    commit_id BIGINT NOT NULL,
    PRIMARY KEY (tenant, field, commit_id)
);

-- The history: one row for each user and change set, only ever added to.
CREATE TABLE changes (
    tenant BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    line BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX changes_by_user ON changes (tenant, user_id, version);

CREATE TABLE jobs (
    tenant BIGINT NOT NULL,
    id TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    queue TEXT,
    options TEXT NOT NULL,
    source TEXT NOT NULL,
    staged TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    same_file_as TEXT,
    actor TEXT NOT NULL,
    submitted_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    error TEXT,
    lease_owner TEXT,
    lease_expires_at BIGINT,
    attempt BIGINT NOT NULL,
    fruitless_attempts BIGINT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    pause_requested BOOLEAN NOT NULL,
    prepared TEXT,
    cursor BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    received BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    results TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX jobs_by_number ON jobs (tenant, number);
CREATE INDEX jobs_by_file ON jobs (tenant, sha256, number);
CREATE INDEX jobs_by_queue ON jobs (tenant, queue, number);

-- The jobs that are not over, for workers to look through. A hint: what counts stands in jobs.
CREATE TABLE job_queue (
    job_id TEXT NOT NULL PRIMARY KEY,
    tenant BIGINT NOT NULL,
    submitted_at BIGINT NOT NULL
);

-- What became of the rows of a chunk, until the job ends.
CREATE TABLE job_outcomes (
    tenant BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (tenant, job_id, cursor)
);
