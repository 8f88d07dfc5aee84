-- The jobs of a named queue that are not over: whoever looks for work asks for these only, and the others never go.
DROP INDEX jobs_by_queue;
CREATE INDEX open_jobs_by_queue ON jobs (tenant, queue, number)
WHERE queue IS NOT NULL AND state IN ('queued', 'running', 'paused');

-- The job whose end an erasure waits for.
ALTER TABLE jobs ADD COLUMN waits_for TEXT;

-- Whether something that is noted as gone may still lie in the staging area.
ALTER TABLE jobs ADD COLUMN has_leftovers BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX jobs_with_leftovers ON jobs (tenant, id) WHERE has_leftovers;
