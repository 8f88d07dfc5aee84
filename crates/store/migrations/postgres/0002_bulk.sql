-- Identities in other systems, what deleted users were called, and jobs that come from jobs.

-- What names the user in other systems: [["crm","7",null]].
ALTER TABLE users ADD COLUMN identities TEXT;

-- Keys are compared byte by byte, as SQLite does: all that begin with a prefix then lie together.
ALTER TABLE user_keys ALTER COLUMN key TYPE TEXT COLLATE "C";

-- The keys that deleted users had and would have again, for restoring them by what they are known by.
CREATE TABLE deleted_user_keys (
    tenant BIGINT NOT NULL,
    field BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (tenant, field, key, user_id)
);

-- Whether the job only plans, the job that it comes from and how, the job that it takes back, and the job that took it back.
ALTER TABLE jobs ADD COLUMN dry_run BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE jobs ADD COLUMN parent_job_id TEXT;
ALTER TABLE jobs ADD COLUMN relation TEXT;
ALTER TABLE jobs ADD COLUMN undoes TEXT;
ALTER TABLE jobs ADD COLUMN undo_job_id TEXT;
-- The name of the planned rows in the staging area, and how many users were changed.
ALTER TABLE jobs ADD COLUMN plan TEXT;
ALTER TABLE jobs ADD COLUMN affected BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_parent ON jobs (tenant, parent_job_id);
CREATE INDEX jobs_by_undone ON jobs (tenant, undoes);
