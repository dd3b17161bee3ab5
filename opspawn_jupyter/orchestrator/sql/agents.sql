-- Questions of the agents' verbs over the public views. ``{name}`` stands for a literal.

-- name: used
-- What agents have used, by whose they are, whether it was since {today}, and whether it was in the
-- attempt {attempt} of {task}. An attempt that runs counts until {now}.
WITH agents AS (
    SELECT id, submitted_by FROM tasks WHERE kind = 'agent'
),
told AS (
    SELECT task_id, attempt, happened_at, type, data
    FROM events JOIN agents ON agents.id = events.task_id
),
counted AS (
    SELECT
        task_id,
        happened_at >= {today} AS is_today,
        task_id = {task} AND attempt = {attempt} AS is_own,
        coalesce(CAST(data ->> 'requests' AS BIGINT), 0) AS requests,
        coalesce(CAST(data ->> 'input_tokens' AS BIGINT), 0)
            + coalesce(CAST(data ->> 'output_tokens' AS BIGINT), 0) AS tokens,
        coalesce(CAST(data ->> 'cost' AS DOUBLE), 0) AS cost,
        coalesce(CAST(data ->> 'tool_calls' AS BIGINT), 0) AS tool_calls,
        0.0 AS seconds
    FROM told
    WHERE type IN ('model.replied', 'agent.called')
),
timed AS (
    SELECT
        task_id,
        min(happened_at) FILTER (type = 'task.started') >= {today} AS is_today,
        epoch(
            coalesce(max(happened_at) FILTER (type <> 'task.started'), {now})
            - min(happened_at) FILTER (type = 'task.started')
        ) AS seconds
    FROM told
    WHERE attempt > 0 AND type IN (
        'task.started', 'task.retrying', 'task.waiting', 'task.succeeded', 'task.failed',
        'task.timed_out', 'task.crashed', 'task.cancelled'
    )
    GROUP BY task_id, attempt
),
everything AS (
    FROM counted
    UNION ALL
    SELECT task_id, is_today, false, 0, 0, 0, 0, seconds FROM timed
)
SELECT
    submitted_by,
    coalesce(is_today, false) AS is_today,
    is_own,
    CAST(sum(requests) AS BIGINT) AS max_requests,
    CAST(sum(tokens) AS BIGINT) AS max_tokens,
    sum(cost) AS max_cost,
    CAST(sum(tool_calls) AS BIGINT) AS max_tool_calls,
    sum(seconds) AS max_seconds
FROM everything JOIN agents ON agents.id = task_id
GROUP BY ALL;

-- name: used_by_family
-- What the task {task} and the tasks below it have used.
WITH RECURSIVE family AS (
    SELECT {task} AS id
    UNION
    SELECT tasks.id FROM tasks JOIN family ON tasks.parent_id = family.id
)
SELECT
    coalesce(sum(CAST(data ->> 'requests' AS BIGINT)), 0),
    coalesce(sum(CAST(data ->> 'input_tokens' AS BIGINT)), 0),
    coalesce(sum(CAST(data ->> 'output_tokens' AS BIGINT)), 0),
    coalesce(sum(CAST(data ->> 'cost' AS DOUBLE)), 0),
    coalesce(sum(CAST(data ->> 'tool_calls' AS BIGINT)), 0),
    coalesce(bool_or(type = 'model.replied' AND data ->> 'cost' IS NULL), false)
FROM events JOIN family ON family.id = task_id
WHERE type IN ('model.replied', 'agent.called');

-- name: recall
-- Notes of {scope}, those that fit {query} and {vector} best first; the newest where nothing is
-- asked. Words are ranked by BM25 (Robertson and Zaragoza, 2009; k1 = 1.2, b = 0.75), without
-- the commonest words and without plural and verb endings; vectors by their cosine. The two are added, each at most 1.
WITH notes AS (
    SELECT
        id,
        list_transform(
            regexp_extract_all(lower(content ->> 'text'), '[\p{L}\p{N}]+'),
            lambda word: regexp_replace(word, '(.{3,}?)(s|es|ed|ing)$', '\1')
        ) AS words,
        CAST(content -> 'vector' AS DOUBLE[]) AS vector
    FROM records
    WHERE subject = 'note' AND is_open AND content ->> 'scope' = {scope}
),
asked AS (
    SELECT DISTINCT regexp_replace(word, '(.{3,}?)(s|es|ed|ing)$', '\1') AS word
    FROM (SELECT unnest(regexp_extract_all(lower({query}), '[\p{L}\p{N}]+')) AS word)
    WHERE word NOT IN (
        'a', 'an', 'and', 'are', 'at', 'by', 'did', 'do', 'does', 'for', 'from', 'has', 'have',
        'how', 'in', 'is', 'it', 'of', 'on', 'or', 'that', 'the', 'this', 'to', 'was', 'were',
        'what', 'when', 'where', 'which', 'who', 'why', 'with'
    )
),
collection AS (
    SELECT count(*) AS notes, avg(len(words)) AS length FROM notes
),
found AS (
    SELECT id, len(words) AS length, word, count(*) AS times
    FROM (SELECT id, words, unnest(words) AS word FROM notes) JOIN asked USING (word)
    GROUP BY id, words, word
),
weighed AS (
    SELECT
        *,
        ln(1 + (notes - count(*) OVER same + 0.5) / (count(*) OVER same + 0.5)) AS rarity
    FROM (SELECT found.*, notes, collection.length AS mean FROM found, collection)
    WINDOW same AS (PARTITION BY word)
),
by_words AS (
    SELECT id, sum(rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))) AS score
    FROM weighed
    GROUP BY id
),
by_meaning AS (
    SELECT id, list_cosine_similarity(vector, CAST({vector} AS DOUBLE[])) AS score
    FROM notes
    WHERE len(vector) > 0 AND len(vector) = len(CAST({vector} AS DOUBLE[]))
)
SELECT id
FROM notes LEFT JOIN by_words USING (id) LEFT JOIN by_meaning USING (id)
WHERE by_words.score IS NOT NULL OR by_meaning.score > 0.3 OR {query} = ''
ORDER BY
    coalesce(by_words.score / max(by_words.score) OVER (), 0) + coalesce(by_meaning.score, 0) DESC,
    id DESC
LIMIT {limit};
