-- The job from which a request is answered that makes one and waits for its end.

ALTER TABLE idempotency_keys ADD COLUMN job_id TEXT;
