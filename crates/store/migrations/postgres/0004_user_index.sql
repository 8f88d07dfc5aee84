-- Which live users have a value: an entry for each value of a field marked as indexed, one for each option where there may
-- be several. The keys compare as the values do, by code point and not by the rules of a language.
CREATE TABLE user_index (
    tenant BIGINT NOT NULL,
    field BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (tenant, field, key, user_id)
);

-- How often a field changed in a way that everybody who writes users must know of. A commit that was planned before is
-- planned again.
ALTER TABLE communities ADD COLUMN fields_epoch BIGINT NOT NULL DEFAULT 0;
