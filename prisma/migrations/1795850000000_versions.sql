-- Other rows for the same weights are a version of their own, beside the old one.

-- What a pinned link names, by its first 12 digits: the hash of the weights for the first content that these weights had here, and a hash of
-- both for each later one (lib/catalog/versions.ts).
ALTER TABLE dictionary ADD COLUMN version text;
UPDATE dictionary d SET version = CASE n.nth WHEN 1 THEN d.sha256 ELSE encode(sha256(convert_to(d.sha256 || ' ' || d.content_sha256, 'UTF8')), 'hex') END
FROM (SELECT id, row_number() OVER (PARTITION BY ref, sha256 ORDER BY imported_at, id) AS nth FROM dictionary) n WHERE n.id = d.id;
ALTER TABLE dictionary ALTER COLUMN version SET NOT NULL;
ALTER TABLE dictionary DROP CONSTRAINT dictionary_model_id_name_sha256_key;
ALTER TABLE dictionary ADD CONSTRAINT dictionary_ref_version_key UNIQUE (ref, version);
