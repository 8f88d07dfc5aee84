-- Communities, fields, keys, users with their history, and jobs.
-- Every table that grows with users begins its key with the community.

CREATE TABLE communities (
    tenant INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE counters (
    tenant INTEGER NOT NULL PRIMARY KEY,
    next_user INTEGER NOT NULL,
    next_commit INTEGER NOT NULL,
    next_job INTEGER NOT NULL,
    next_field INTEGER NOT NULL
);

CREATE TABLE fields (
    tenant INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    rules TEXT NOT NULL,
    built_in BOOLEAN NOT NULL,
    archived BOOLEAN NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX fields_by_key ON fields (tenant, key);
CREATE UNIQUE INDEX fields_by_id ON fields (tenant, id);

CREATE TABLE api_keys (
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (tenant, hash);

CREATE TABLE users (
    tenant INTEGER NOT NULL,
    id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    email TEXT,
    deleted BOOLEAN NOT NULL,
    field_values TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- What names exactly one live user: emails (field 0) and later identities and unique fields. Deleted users hold none.
CREATE TABLE user_keys (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    key TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, key)
) WITHOUT ROWID;

-- Each commit that changed users: who, when, for which job. Its changes have the numbers
-- id * 2^20 … id * 2^20 + 2^20 - 1.
CREATE TABLE commits (
    tenant INTEGER NOT NULL,
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    job_id TEXT,
    actor TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX commits_by_job ON commits (tenant, job_id, id);

CREATE TABLE commit_fields (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    commit_id INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, commit_id)
) WITHOUT ROWID;

-- The history: one row for each user and change set, only ever added to.
CREATE TABLE changes (
    tenant INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    line INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX changes_by_user ON changes (tenant, user_id, version);

CREATE TABLE jobs (
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    queue TEXT,
    options TEXT NOT NULL,
    source TEXT NOT NULL,
    staged TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    same_file_as TEXT,
    actor TEXT NOT NULL,
    submitted_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    error TEXT,
    lease_owner TEXT,
    lease_expires_at INTEGER,
    attempt INTEGER NOT NULL,
    fruitless_attempts INTEGER NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    pause_requested BOOLEAN NOT NULL,
    prepared TEXT,
    cursor INTEGER NOT NULL,
    bytes_done INTEGER NOT NULL,
    received INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    results TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX jobs_by_number ON jobs (tenant, number);
CREATE INDEX jobs_by_file ON jobs (tenant, sha256, number);
CREATE INDEX jobs_by_queue ON jobs (tenant, queue, number);

-- The jobs that are not over, for workers to look through. A hint: what counts stands in jobs.
CREATE TABLE job_queue (
    job_id TEXT NOT NULL PRIMARY KEY,
    tenant INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL
);

-- What became of the rows of a chunk, until the job ends.
CREATE TABLE job_outcomes (
    tenant INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (tenant, job_id, cursor)
);
