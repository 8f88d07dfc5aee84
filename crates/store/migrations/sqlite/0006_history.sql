-- The history is found by time, by job and by field, each from one range of an index.

CREATE INDEX commits_by_time ON commits (tenant, at, id);
CREATE INDEX commits_by_job_and_time ON commits (tenant, job_id, at, id);

-- Which commits touched a field, with their time and job, and which of their change sets did: how many did not, how
-- many did, how many did not, and so on. Null: not recorded, any of them may have.
ALTER TABLE commit_fields RENAME TO commit_fields_before;
CREATE TABLE commit_fields (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    commit_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    job_id TEXT,
    sets TEXT,
    PRIMARY KEY (tenant, field, at, commit_id)
) WITHOUT ROWID;
INSERT INTO commit_fields (tenant, field, commit_id, at, job_id, sets)
SELECT f.tenant, f.field, f.commit_id, m.at, m.job_id, NULL
FROM commit_fields_before AS f JOIN commits AS m ON m.tenant = f.tenant AND m.id = f.commit_id;
DROP TABLE commit_fields_before;
CREATE INDEX commit_fields_by_job ON commit_fields (tenant, job_id, field, at, commit_id);

-- What is in each whole block of 64 versions of a user who has that many: a row for 'all', for each 'field:KEY' and for
-- each 'job:ID', with the times of the whole block. Block n holds the versions from 64 n + 1 to 64 n + 64.
CREATE TABLE user_blocks (
    tenant INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    facet TEXT NOT NULL,
    block INTEGER NOT NULL,
    oldest_at INTEGER NOT NULL,
    newest_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id, facet, block)
) WITHOUT ROWID;
WITH block_sets AS (
    SELECT c.tenant, c.user_id, (c.version - 1) / 64 AS block, m.at, m.job_id, c.data
    FROM users AS u
    CROSS JOIN changes AS c ON c.tenant = u.tenant AND c.user_id = u.id AND c.version <= u.version / 64 * 64
    CROSS JOIN commits AS m ON m.tenant = c.tenant AND m.id = c.seq / 1048576
    WHERE u.version >= 64
), times AS (
    SELECT tenant, user_id, block, min(at) AS oldest_at, max(at) AS newest_at
    FROM block_sets GROUP BY tenant, user_id, block
), facets AS (
    SELECT tenant, user_id, block, 'all' AS facet FROM block_sets
    UNION SELECT tenant, user_id, block, 'job:' || job_id FROM block_sets WHERE job_id IS NOT NULL
    UNION SELECT s.tenant, s.user_id, s.block, 'field:' || (e.value ->> 0)
    FROM block_sets AS s JOIN json_each(s.data) AS e
)
INSERT INTO user_blocks (tenant, user_id, facet, block, oldest_at, newest_at)
SELECT f.tenant, f.user_id, f.facet, f.block, t.oldest_at, t.newest_at
FROM facets AS f JOIN times AS t ON t.tenant = f.tenant AND t.user_id = f.user_id AND t.block = f.block;
