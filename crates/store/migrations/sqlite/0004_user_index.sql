-- Which live users have a value: an entry for each value of a field marked as indexed, one for each option where there may
-- be several. The keys compare as the values do.
CREATE TABLE user_index (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    key TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, key, user_id)
) WITHOUT ROWID;

-- How often a field changed in a way that everybody who writes users must know of. A commit that was planned before is
-- planned again.
ALTER TABLE communities ADD COLUMN fields_epoch INTEGER NOT NULL DEFAULT 0;
