-- Parts of a task, such as the steps of a workflow. Rows from before are parts of none.
ALTER TABLE finished_tasks ADD COLUMN parent_id VARCHAR;
ALTER TABLE finished_tasks ADD COLUMN step VARCHAR;
ALTER TABLE finished_tasks ADD COLUMN reused_from VARCHAR;
