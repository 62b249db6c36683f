-- name: insert
-- Leaves out what has the key of a task that is open.
INSERT INTO task_queue (
    id, queue_name, task_type, payload, priority, retry_count, max_retry, scheduled_at, trace, dedup
)
SELECT id, queue, type, payload, priority, retry, max_retry, coalesce(due, now()), trace, dedup
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::smallint[], $6::int[], $7::int[],
              $8::timestamptz[], $9::text[], $10::text[])
    AS new (id, queue, type, payload, priority, retry, max_retry, due, trace, dedup)
    ON CONFLICT (queue_name, dedup) WHERE dedup IS NOT NULL AND status IN ('pending', 'processing') DO NOTHING;

-- name: bury
-- Tasks whose only attempt was made before they had rows.
INSERT INTO task_queue (
    id, queue_name, task_type, payload, priority, retry_count, max_retry, scheduled_at, trace, status, why,
    error_message, started_at, completed_at
)
SELECT id, queue, type, payload, priority, retry, max_retry, coalesce(due, now()), trace, 'failed', why,
       error, now(), now()
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::smallint[], $6::int[], $7::int[],
              $8::timestamptz[], $9::text[], $10::text[], $11::text[])
    AS new (id, queue, type, payload, priority, retry, max_retry, due, trace, why, error);

-- name: present
SELECT id FROM task_queue WHERE id = ANY ($1::uuid[]);

-- name: complete
-- Touches only what is still open: whoever comes second gets nothing back and knows it. The same run (its start
-- tells) is answered the same again, because the first answer may have been lost.
UPDATE task_queue AS task
   SET status = 'completed', started_at = done.started_at, completed_at = coalesce(task.completed_at, now()),
       updated_at = now(), error_message = NULL
  FROM unnest($1::uuid[], $2::timestamptz[]) AS done (id, started_at)
 WHERE task.id = done.id
   AND (task.status IN ('pending', 'processing') OR task.status = 'completed' AND task.started_at = done.started_at)
RETURNING task.id;

-- name: judge
-- Retry after a delay, or fail where the delay is null. retry_count is the fence: an attempt is judged once; what
-- spent none may be tried once more. A failure is answered the same again, because without the answer nobody would write
-- the dead letter.
UPDATE task_queue AS task
   SET status        = CASE WHEN judged.delay IS NULL THEN 'failed' ELSE 'pending' END,
       retry_count   = task.retry_count + (judged.delay IS NOT NULL)::int,
       max_retry     = task.max_retry + (NOT judged.spends)::int,
       scheduled_at  = coalesce(now() + judged.delay, task.scheduled_at),
       completed_at  = CASE WHEN judged.delay IS NULL THEN coalesce(task.completed_at, now()) END,
       started_at    = judged.started_at,
       error_message = judged.error,
       why           = judged.why,
       updated_at    = now()
  FROM unnest($1::uuid[], $2::int[], $3::interval[], $4::text[], $5::timestamptz[], $6::text[], $7::boolean[])
    AS judged (id, retry_count, delay, error, started_at, why, spends)
 WHERE task.id = judged.id AND task.retry_count = judged.retry_count
   AND (task.status IN ('pending', 'processing')
        OR task.status = 'failed' AND judged.delay IS NULL AND task.started_at IS NOT DISTINCT FROM judged.started_at)
RETURNING task.id;

-- name: still_open
-- `status || ''` keeps the planner to the ids: its statistics may say that nothing is open while much is.
SELECT id, retry_count FROM task_queue WHERE id = ANY ($1::uuid[]) AND status || '' IN ('pending', 'processing');

-- name: try_lock
SELECT pg_try_advisory_xact_lock($1, hashtext($2));

-- name: advance
-- Rows whose due time has come near and which nobody has put into Redis: their delay was long when they were
-- written. The write shortens it, so a row is taken here once.
UPDATE task_queue SET updated_at = now()
 WHERE id IN (
       SELECT id FROM task_queue
        WHERE queue_name = $1 AND status IN ('pending', 'processing')
          AND scheduled_at BETWEEN now() - $2::interval AND now() + $2::interval
          AND scheduled_at > updated_at + $2::interval
        ORDER BY scheduled_at LIMIT $3
          FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: outstanding
-- What should be in Redis by now, a page at a time.
SELECT * FROM task_queue
 WHERE queue_name = $1 AND status IN ('pending', 'processing')
   AND scheduled_at <= now() + $2::interval AND updated_at <= now() - $3::interval
   AND (scheduled_at, id) > ($4, $5)
 ORDER BY scheduled_at, id LIMIT $6;

-- name: reopen
-- Gives up the key: another task may have it by now, and somebody has asked for this very one.
UPDATE task_queue
   SET status = 'pending', retry_count = 0, scheduled_at = now(), completed_at = NULL, updated_at = now(),
       why = NULL, dedup = NULL
 WHERE id = ANY ($1::uuid[]) AND status = 'failed'
RETURNING *;

-- name: hasten
-- What was put off, and would start later, starts then. That is a try that spent nothing: so the copy in Redis that
-- waits for longer is worth nothing any more.
UPDATE task_queue
   SET scheduled_at = now() + $2::interval, retry_count = retry_count + 1, max_retry = max_retry + 1,
       updated_at = now()
 WHERE id IN (
       SELECT id FROM task_queue
        WHERE id = ANY ($1::uuid[]) AND status || '' IN ('pending', 'processing')
          AND retry_count > 0 AND scheduled_at > now() + $2::interval
        ORDER BY id
          FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: get
SELECT * FROM task_queue WHERE id = $1;

-- name: cancel
-- Ends what is open and nothing else.
UPDATE task_queue
   SET status = 'failed', why = 'cancelled', error_message = $2, completed_at = now(), updated_at = now()
 WHERE id = ANY ($1::uuid[]) AND status IN ('pending', 'processing')
RETURNING *;

-- name: orders
-- What the workers of some queues have to obey: which of them are paused, and what was cancelled lately.
SELECT queue_name, NULL AS id FROM queue_pauses WHERE queue_name = ANY ($1::text[])
 UNION ALL
SELECT queue_name, id FROM task_queue
 WHERE status = 'failed' AND why = 'cancelled' AND completed_at > now() - $2::interval AND queue_name = ANY ($1::text[]);

-- name: tell_workers
SELECT pg_notify($1, '');

-- name: pause
INSERT INTO queue_pauses (queue_name, paused_by) VALUES ($1, $2) ON CONFLICT (queue_name) DO NOTHING;

-- name: resume
DELETE FROM queue_pauses WHERE queue_name = $1;

-- name: listing
-- Of the rows with one of the statuses $2, which a partial index may know; $1 is what workers hold.
SELECT *, CASE WHEN status IN ('pending', 'processing')
               THEN CASE WHEN id = ANY ($1::uuid[]) THEN 'processing' ELSE 'pending' END
               ELSE status END AS state
  FROM task_queue WHERE status = ANY ($2::text[])

-- name: statistics
-- Counting stops at $3, because beyond it the number says no more than "too many".
SELECT queue AS queue_name,
       (SELECT count(*)
          FROM (SELECT FROM task_queue
                 WHERE queue_name = queue AND status IN ('pending', 'processing') AND scheduled_at <= now()
                 LIMIT $3) AS due) AS due,
       (SELECT extract(epoch FROM now() - min(scheduled_at))::float8 FROM task_queue
         WHERE queue_name = queue AND status IN ('pending', 'processing') AND scheduled_at <= now()) AS oldest_seconds,
       (SELECT count(*) FROM task_queue WHERE queue_name = queue AND completed_at > now() - $2::interval) AS ended,
       (SELECT paused_by FROM queue_pauses WHERE queue_name = queue) AS paused_by
  FROM unnest($1::text[]) AS queues (queue);

-- name: delete_ended
DELETE FROM task_queue
 WHERE id IN (SELECT id FROM task_queue WHERE completed_at < now() - $1::interval ORDER BY completed_at LIMIT $2);
