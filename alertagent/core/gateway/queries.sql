-- name: values
-- What a label is among those that fire with these labels at least; "" where it is missing.
SELECT DISTINCT coalesce(labels ->> $2, '') AS value FROM firing_alerts WHERE labels @> $1 LIMIT $3;

-- name: fitting
-- Which fire, as one text: a hundred thousand rows of a key each take long to unpack. Conditions follow.
SELECT string_agg(fingerprint, ' ' ORDER BY fingerprint) FROM firing_alerts WHERE

-- name: labels
SELECT array_agg(fingerprint), array_agg(convert_to(labels::text, 'UTF8'))
  FROM firing_alerts WHERE fingerprint = ANY ($1);

-- name: written
-- What fires as Alertmanager's API v2 writes it, in two pieces: the labels, and what follows them. A condition follows.
SELECT fingerprint, convert_to(labels::text, 'UTF8') AS labels,
       convert_to(concat(
           ',"annotations":', annotations,
           ',"endsAt":"', to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           '","fingerprint":', to_json(fingerprint),
           ',"startsAt":"', to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           '","updatedAt":"', to_char(last_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           CASE WHEN generator_url <> '' THEN '","generatorURL":' || to_json(generator_url) || '}' ELSE '"}' END),
           'UTF8') AS rest
  FROM alerts
 WHERE status = 'firing' AND
