-- Who made a field (JSON), and when somebody changed it last. Nobody knows of fields that were there before.
ALTER TABLE fields ADD COLUMN created_by TEXT;
ALTER TABLE fields ADD COLUMN updated_at BIGINT;
