-- How a task's kernel was started. Rows from before have it in their record.
ALTER TABLE finished_tasks ADD COLUMN tier VARCHAR;
UPDATE finished_tasks SET tier = record ->> 'tier';
