-- What users' queries see, made anew for each of them: the file, and beside it what memory holds
-- and the file does not (unfinished tasks, and what has not been written out yet). Temporary, so
-- that two queries at once never see each other's, and a read-only transaction may make them.

CREATE TEMP TABLE held_tasks AS FROM opspawn.main.finished_tasks LIMIT 0;
CREATE TEMP TABLE held_events AS FROM opspawn.main.events LIMIT 0;

-- One row for each task, as it stands.
CREATE TEMP VIEW tasks AS
SELECT * EXCLUDE (record)
FROM (FROM opspawn.main.finished_tasks UNION ALL FROM held_tasks);

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

-- One row for each event.
CREATE TEMP VIEW events AS
FROM opspawn.main.events UNION ALL FROM held_events;
