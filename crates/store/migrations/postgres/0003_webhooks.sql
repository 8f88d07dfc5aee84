-- Webhooks, and what is to be told to them.

CREATE TABLE webhooks (
    tenant BIGINT NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until BIGINT,
    enabled BOOLEAN NOT NULL,
    disabled_because TEXT,
    last_delivered_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- One event for one webhook, and what became of sending it. Never what was sent or answered.
CREATE TABLE webhook_deliveries (
    tenant BIGINT NOT NULL,
    id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    event TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    last_attempt_at BIGINT,
    last_status BIGINT,
    last_error TEXT,
    last_milliseconds BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (tenant, webhook_id, occurred_at, id);

-- The deliveries that are pending: when they are due, and who sends them now. The attempt is that of the latest claim.
CREATE TABLE webhook_queue (
    tenant BIGINT NOT NULL,
    delivery_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    lease_expires_at BIGINT,
    PRIMARY KEY (tenant, delivery_id)
);
CREATE INDEX webhook_queue_by_time ON webhook_queue (due_at);
CREATE INDEX webhook_queue_by_webhook ON webhook_queue (tenant, webhook_id);
