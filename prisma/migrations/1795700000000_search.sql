-- Search by meaning, and more metrics to sort and filter by.

-- Which embedder made the dictionary's vectors, of how many numbers each, and how many there are; null: none were made.
ALTER TABLE dictionary ADD COLUMN embedder text;
ALTER TABLE dictionary ADD COLUMN embedding_size integer;
ALTER TABLE dictionary ADD COLUMN embeddings integer NOT NULL DEFAULT 0;

-- One vector of length 1 for each feature that has words. Its size is the embedder's, so an index is made on each partition for itself
-- (lib/catalog/search-vectors.ts), and only on those that are too long to be read whole.
CREATE TABLE search_vector (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  embedding halfvec NOT NULL,
  PRIMARY KEY (dictionary_id, index)
) PARTITION BY LIST (dictionary_id);

-- Scores of the preferred explanation, 0..1, as other tools measure them.
ALTER TABLE feature ADD COLUMN clip double precision;
ALTER TABLE feature ADD COLUMN consistency double precision;
ALTER TABLE feature ADD COLUMN detection double precision;
ALTER TABLE feature ADD COLUMN fuzzing double precision;
CREATE INDEX feature_mean_activation ON feature (mean_activation, index);
CREATE INDEX feature_clip ON feature (clip, index) WHERE clip IS NOT NULL;
CREATE INDEX feature_consistency ON feature (consistency, index) WHERE consistency IS NOT NULL;
CREATE INDEX feature_detection ON feature (detection, index) WHERE detection IS NOT NULL;
CREATE INDEX feature_fuzzing ON feature (fuzzing, index) WHERE fuzzing IS NOT NULL;

-- Partitions for the dictionaries that are there already.
DO $$
DECLARE one integer;
BEGIN
  FOR one IN SELECT id FROM dictionary LOOP
    EXECUTE format('CREATE TABLE search_vector_d%s PARTITION OF search_vector FOR VALUES IN (%s)', one, one);
  END LOOP;
END $$;
