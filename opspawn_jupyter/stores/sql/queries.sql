-- Every statement that the store runs, by name. The comment under a name says what it gives.

-- name: meta_exists
-- Whether any migration was ever applied here.
SELECT count(*) > 0 FROM duckdb_tables() WHERE database_name = current_database() AND table_name = 'meta';

-- name: meta
-- A number that the store keeps about itself.
SELECT value FROM meta WHERE key = $key;

-- name: set_meta
-- Changes such a number.
UPDATE meta SET value = $value WHERE key = $key;

-- name: hash_of_event
-- The link of the chain at one event.
SELECT hash FROM events WHERE seq = $seq;

-- name: events_of_unfinished_tasks
-- What the live tasks are built from at start, in order.
SELECT seq, happened_at, task_id, attempt, number, type, data, hash FROM events
WHERE task_id NOT IN (SELECT id FROM finished_tasks)
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

-- name: finished_page
-- Finished tasks that fit the filters, beyond the cursor, in the order asked for. {field},
-- {type}, {beyond} and {direction} are filled in from a closed list.
SELECT record FROM finished_tasks
WHERE (len($states) = 0 OR list_contains($states, state))
  AND ($kind IS NULL OR kind = $kind)
  AND ($name IS NULL OR starts_with(name, $name))
  AND json_contains(labels, $labels)
  AND ($id IS NULL OR {field} {beyond} CAST($key AS {type})
       OR ({field} = CAST($key AS {type}) AND id {beyond} $id))
ORDER BY {field} {direction}, id {direction} LIMIT $limit;
