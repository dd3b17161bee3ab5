-- Every statement that the store runs, by name. The comment under a name says what it gives.

-- name: meta_exists
-- Whether any migration was ever applied here.
SELECT count(*) > 0 FROM duckdb_tables() WHERE database_name = current_database() AND table_name = 'meta';

-- name: meta
-- A number that the store keeps about itself.
SELECT value FROM meta WHERE key = $key;

-- name: begin_reading
-- A transaction that sees the file as it is at this moment: only its first look fixes that.
BEGIN TRANSACTION READ ONLY;
FROM meta LIMIT 0;

-- name: set_meta
-- Changes such a number.
UPDATE meta SET value = $value WHERE key = $key;

-- name: hash_of_event
-- The link of the chain at one event.
SELECT hash FROM events WHERE seq = $seq;

-- name: events_of_unfinished_tasks
-- What the live tasks are built from at start, in order.
SELECT seq, happened_at, task_id, attempt, number, type, data, hash FROM events
WHERE task_id <> '' AND task_id NOT IN (SELECT id FROM finished_tasks)
ORDER BY seq;

-- name: newest_finished_id
-- The highest id of all finished tasks; no row of a higher one needs to be looked for.
SELECT max(id) FROM finished_tasks;

-- name: finished_task
-- One finished task.
SELECT record FROM finished_tasks WHERE id = $id;

-- name: finished_task_by_key
-- The finished task that was submitted with an idempotency key.
SELECT record FROM finished_tasks WHERE idempotency_key = $key LIMIT 1;

-- name: finished_ids_ending
-- Ids that end with a reference; a few are enough to see that it is ambiguous.
SELECT id FROM finished_tasks WHERE suffix(id, $reference) LIMIT $limit;

-- name: events_after
-- Events in order, of all tasks or of one.
SELECT seq, happened_at, task_id, attempt, number, type, data, hash FROM events
WHERE seq > $after AND ($task_id IS NULL OR task_id = $task_id)
ORDER BY seq LIMIT $limit;

-- name: retried_ids
-- Finished tasks that were tried again by hand, as far as that try has ended too.
SELECT retry_of FROM finished_tasks WHERE retry_of IS NOT NULL;

-- name: forget_finished
-- Takes out finished tasks that are about to be written anew.
DELETE FROM finished_tasks WHERE list_contains($ids, id);

-- name: finished_page
-- Finished tasks that fit, in the order asked for. {conditions} are of those below; {field}, {type},
-- {direction} and what else stands in braces there is filled in from a closed list.
SELECT record FROM finished_tasks WHERE {conditions}
ORDER BY {field} {direction}, id {direction} LIMIT $limit;

-- name: finished_page_by_text
-- Likewise, in an order that has no beginning to look through alone: the whole tasks are read last.
SELECT record FROM finished_tasks
WHERE rowid IN (
    SELECT rowid FROM finished_tasks WHERE {conditions}
    ORDER BY {field} {direction}, id {direction} LIMIT $limit
)
ORDER BY {field} {direction}, id {direction};

-- name: where_any
-- Where nothing else is asked for.
true

-- name: where_states
-- In one of these states.
state IN ({states})

-- name: where_kind
-- Of this kind.
kind = $kind

-- name: where_name
-- Whose name begins so.
starts_with(name, $name)

-- name: where_parent
-- Parts of this task.
parent_id = $parent

-- name: where_top
-- No parts.
parent_id IS NULL

-- name: where_labels
-- With all of these labels.
json_contains(labels, $labels)

-- name: where_pruned
-- Whose run directory was removed.
pruned_at IS NOT NULL

-- name: where_not_pruned
-- Whose run directory was not.
pruned_at IS NULL

-- name: where_dead
-- Whose retries did not help.
state IN ('failed', 'timed_out', 'crashed') AND max_retries > 0

-- name: where_not_left_out
-- None of these.
NOT list_contains($left_out, id)

-- name: where_beyond
-- After the last task of the page before.
{field} {beyond}= CAST($key AS {type})
AND ({field} {beyond} CAST($key AS {type}) OR id {beyond} $id)

-- name: where_within
-- Not after a moment.
{field} {within} $bound

-- name: reach_of_finished
-- How many finished tasks there are, and the first and last value of a field. DuckDB knows.
SELECT count(*), min({field}), max({field}) FROM finished_tasks;

-- name: newest_record_id
-- The highest id of all records; no row of a higher one needs to be looked for.
SELECT max(id) FROM records;

-- name: key_digests
-- All keys of records and finished tasks, as small as they can be kept at hand.
SELECT DISTINCT md5_number_lower(subject || ' ' || key) FROM records WHERE key IS NOT NULL
UNION ALL
SELECT md5_number_lower('task ' || idempotency_key) FROM finished_tasks
WHERE idempotency_key IS NOT NULL;

-- name: record
-- A record as it was written last.
SELECT subject, id, version, is_open, key, task_id, changed_at, seq, content FROM records
WHERE subject = $subject AND id = $id ORDER BY version DESC LIMIT 1;

-- name: record_by_key
-- Likewise, by its key.
SELECT subject, id, version, is_open, key, task_id, changed_at, seq, content FROM records
WHERE subject = $subject AND key = $key ORDER BY version DESC LIMIT 1;

-- name: open_records
-- Records of which something may still become, as they were written last: no version follows.
SELECT subject, id, version, is_open, key, task_id, changed_at, seq, content
FROM records ANTI JOIN (
    SELECT subject, id, version - 1 AS version FROM records WHERE version > 1
) USING (subject, id, version)
WHERE is_open;

-- name: record_page
-- Records of a subject as they were written last, newest first, or by key from a certain one on.
SELECT subject, id, version, is_open, key, task_id, changed_at, seq, content
FROM (
    FROM records
    WHERE subject = $subject
      AND ($task_id IS NULL OR task_id = $task_id)
      AND ($before IS NULL OR id < $before)
      AND ($key_prefix IS NULL OR starts_with(key, $key_prefix))
      AND ($key_from IS NULL OR key >= $key_from)
      AND NOT list_contains($held, id)
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC) = 1
)
WHERE $is_open IS NULL OR is_open = $is_open
ORDER BY CASE WHEN $key_from IS NULL THEN NULL ELSE key END, id DESC LIMIT $limit;
