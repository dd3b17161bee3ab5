-- What users' queries see, made anew for each of them: the file, and beside it what memory holds
-- and the file does not (unfinished tasks, and what has not been written out yet). Temporary, so
-- that two queries at once never see each other's, and a read-only transaction may make them.
--
-- A view that memory may add to has a form for the file alone, which is all that many queries need,
-- and one that ends in `_held`.

-- name: tasks
-- One row for each task, as it stands.
CREATE TEMP VIEW tasks AS
SELECT * EXCLUDE (record) FROM opspawn.main.finished_tasks;

-- name: tasks_held
-- Likewise. What is held the file has not.
CREATE TEMP TABLE held_tasks AS FROM opspawn.main.finished_tasks LIMIT 0;
CREATE TEMP VIEW tasks AS
SELECT * EXCLUDE (record)
FROM (FROM opspawn.main.finished_tasks UNION ALL FROM held_tasks);

-- name: tasks_rewritten
-- Likewise, where the file has some of them as they were before. All ids must be read to leave
-- those out, which takes as long as most of what is asked.
CREATE TEMP TABLE held_tasks AS FROM opspawn.main.finished_tasks LIMIT 0;
CREATE TEMP VIEW tasks AS
SELECT * EXCLUDE (record)
FROM (
    FROM opspawn.main.finished_tasks ANTI JOIN held_tasks USING (id)
    UNION ALL FROM held_tasks
);

-- name: dead_letters
-- Tasks that had retries, ended without success all the same, and were not tried again by hand.
CREATE TEMP VIEW dead_letters AS
FROM tasks
WHERE state IN ('failed', 'timed_out', 'crashed') AND max_retries > 0
  AND id NOT IN (SELECT retry_of FROM tasks WHERE retry_of IS NOT NULL);

-- name: cells
-- One row for each code cell of each task.
CREATE TEMP VIEW cells AS
SELECT
    id AS task_id,
    CAST(cell ->> 'index' AS INTEGER) AS index,
    cell ->> 'state' AS state,
    cell ->> 'title' AS title,
    CAST(cell ->> 'duration_seconds' AS DOUBLE) AS duration_seconds,
    CAST(cell ->> 'execution_count' AS INTEGER) AS execution_count
FROM (SELECT id, unnest(CAST(cells AS JSON[])) AS cell FROM tasks);

-- name: events
-- One row for each event.
CREATE TEMP VIEW events AS
FROM opspawn.main.events;

-- name: events_held
-- Likewise.
CREATE TEMP TABLE held_events AS FROM opspawn.main.events LIMIT 0;
CREATE TEMP VIEW events AS
FROM opspawn.main.events UNION ALL FROM held_events;

-- name: attempts
-- One row for each attempt of each task, with what became of it.
CREATE TEMP VIEW attempts AS
SELECT
    task_id,
    attempt,
    min(happened_at) FILTER (type = 'task.started') AS started_at,
    max(happened_at) FILTER (is_end) AS finished_at,
    max(outcome) FILTER (is_end) AS outcome,
    max(data -> 'error' ->> 'name') FILTER (is_end) AS error_name,
    max(data -> 'error' ->> 'message') FILTER (is_end) AS error_message
FROM (
    SELECT
        *,
        type IN ('task.retrying', 'task.succeeded', 'task.failed', 'task.timed_out',
                 'task.crashed', 'task.cancelled', 'task.waiting') AS is_end,
        CASE type
            WHEN 'task.retrying' THEN data ->> 'outcome'
            WHEN 'task.succeeded' THEN 'success'
            ELSE replace(type, 'task.', '')
        END AS outcome
    FROM events
    WHERE attempt > 0
)
GROUP BY task_id, attempt;

-- name: records
-- One row for each thing that is no task, as it stands: a question, a schedule and the like. Those
-- are left out that a next version follows, which takes a third of the time of sorting them.
CREATE TEMP VIEW records AS
FROM opspawn.main.records ANTI JOIN (
    SELECT subject, id, version - 1 AS version FROM opspawn.main.records WHERE version > 1
) USING (subject, id, version);

-- name: records_held
-- Likewise. What is held is the last version, which the file may have or not.
CREATE TEMP TABLE held_records AS FROM opspawn.main.records LIMIT 0;
CREATE TEMP VIEW records AS
FROM (
    FROM opspawn.main.records ANTI JOIN (
        SELECT subject, id, version - 1 AS version FROM opspawn.main.records WHERE version > 1
    ) USING (subject, id, version)
) ANTI JOIN held_records USING (subject, id)
UNION ALL FROM held_records;

-- name: questions
-- One row for each question that was put to a person.
CREATE TEMP VIEW questions AS
SELECT
    id,
    task_id,
    content ->> 'text' AS text,
    content ->> 'state' AS state,
    CAST(content ->> 'asked_at' AS TIMESTAMP) AS asked_at,
    content ->> 'answer' AS answer,
    content ->> 'answered_by' AS answered_by,
    CAST(content ->> 'answered_at' AS TIMESTAMP) AS answered_at
FROM records
WHERE subject = 'question';

-- name: tool_calls
-- One row for each call of a tool that has ended.
CREATE TEMP VIEW tool_calls AS
SELECT
    id,
    CAST(content ->> 'at' AS TIMESTAMP) AS called_at,
    content -> 'principal' ->> 'user' AS called_by,
    task_id,
    content ->> 'server' AS server,
    content ->> 'tool' AS tool,
    content ->> 'outcome' AS outcome,
    CAST(content ->> 'duration_seconds' AS DOUBLE) AS duration_seconds,
    content ->> 'error' AS error,
    CAST(content ->> 'result_bytes' AS BIGINT) AS result_bytes,
    content ->> 'arguments_digest' AS arguments_digest,
    content -> 'arguments' AS arguments
FROM records
WHERE subject = 'tool_call';
