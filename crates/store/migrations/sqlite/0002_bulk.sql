-- Identities in other systems, what deleted users were called, and jobs that come from jobs.

-- What names the user in other systems: [["crm","7",null]].
ALTER TABLE users ADD COLUMN identities TEXT;

-- The keys that deleted users had and would have again, for restoring them by what they are known by.
CREATE TABLE deleted_user_keys (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    key TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, key, user_id)
) WITHOUT ROWID;

-- Whether the job only plans, the job that it comes from and how, the job that it takes back, and the job that took it back.
ALTER TABLE jobs ADD COLUMN dry_run BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE jobs ADD COLUMN parent_job_id TEXT;
ALTER TABLE jobs ADD COLUMN relation TEXT;
ALTER TABLE jobs ADD COLUMN undoes TEXT;
ALTER TABLE jobs ADD COLUMN undo_job_id TEXT;
-- The name of the planned rows in the staging area, and how many users were changed.
ALTER TABLE jobs ADD COLUMN plan TEXT;
ALTER TABLE jobs ADD COLUMN affected INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_parent ON jobs (tenant, parent_job_id);
CREATE INDEX jobs_by_undone ON jobs (tenant, undoes);
