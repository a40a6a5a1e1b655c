-- Features whose text is the same share one vector: hundreds of equal vectors link to one another alone in an index, which then never
-- comes upon them, or never leaves them.

CREATE TABLE search_meaning (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  -- The `index` under which search_vector has it: that of the first feature with this text.
  vector integer NOT NULL,
  PRIMARY KEY (dictionary_id, index)
) PARTITION BY LIST (dictionary_id);
CREATE INDEX search_meaning_vector ON search_meaning (vector, index);

-- Partitions for the dictionaries that are there already: each of their features has a vector of its own, until they are embedded anew.
DO $$
DECLARE one integer;
BEGIN
  FOR one IN SELECT id FROM dictionary LOOP
    EXECUTE format('CREATE TABLE search_meaning_d%s PARTITION OF search_meaning FOR VALUES IN (%s)', one, one);
    EXECUTE format('INSERT INTO search_meaning_d%1$s SELECT dictionary_id, index, index FROM search_vector_d%1$s', one);
    EXECUTE format('ANALYZE search_meaning_d%s', one);
  END LOOP;
END $$;
