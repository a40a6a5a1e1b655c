-- What files of other tools do not say is null: the model's hash and grid, the dictionary's width, on how many images a feature fires.

ALTER TABLE model ALTER COLUMN sha256 DROP NOT NULL;
ALTER TABLE model ALTER COLUMN grid_rows DROP NOT NULL;
ALTER TABLE model ALTER COLUMN grid_cols DROP NOT NULL;
ALTER TABLE model DROP CONSTRAINT model_slug_sha256_key;
ALTER TABLE model ADD CONSTRAINT model_slug_sha256_key UNIQUE NULLS NOT DISTINCT (slug, sha256);

ALTER TABLE dictionary ALTER COLUMN width DROP NOT NULL;
-- Contents that were added to the first one, in order: adding one of them again changes nothing.
ALTER TABLE dictionary ADD COLUMN added_contents text[] NOT NULL DEFAULT '{}';

ALTER TABLE feature ALTER COLUMN images DROP NOT NULL;
ALTER TABLE feature ALTER COLUMN active_tokens DROP NOT NULL;
