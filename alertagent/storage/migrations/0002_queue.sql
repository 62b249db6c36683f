-- Tasks that are wanted once, that say why they failed, and queues that are held back.

ALTER TABLE task_queue
    ADD COLUMN dedup text,
    -- Why a failed task failed: one of the words that dead letters use.
    ADD COLUMN why text;

CREATE UNIQUE INDEX task_queue_dedup ON task_queue (queue_name, dedup)
    WHERE dedup IS NOT NULL AND status IN ('pending', 'processing');
CREATE INDEX task_queue_failed ON task_queue (id) WHERE status = 'failed';
-- Workers look here for what was cancelled since they last looked.
CREATE INDEX task_queue_cancelled ON task_queue (completed_at) WHERE status = 'failed' AND why = 'cancelled';

CREATE TABLE queue_pauses (
    queue_name text PRIMARY KEY,
    paused_by  text NOT NULL,
    paused_at  timestamptz NOT NULL DEFAULT now()
);
