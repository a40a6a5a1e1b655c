-- The distinct words of a dictionary's labels and explanations, as its documents' word lists have them: a mistyped word is looked for among
-- these, a few thousand, and the documents are then found by the words that it may stand for.

CREATE TABLE search_word (
  dictionary_id integer NOT NULL,
  word text NOT NULL,
  PRIMARY KEY (dictionary_id, word)
) PARTITION BY LIST (dictionary_id);
CREATE INDEX search_word_near ON search_word USING gin (word gin_trgm_ops);

-- Partitions for the dictionaries that are there already.
DO $$
DECLARE one integer;
BEGIN
  FOR one IN SELECT id FROM dictionary LOOP
    EXECUTE format('CREATE TABLE search_word_d%s PARTITION OF search_word FOR VALUES IN (%s)', one, one);
    EXECUTE format(
      'INSERT INTO search_word_d%1$s SELECT %1$s, word FROM ts_stat(%2$L) WHERE char_length(word) BETWEEN 3 AND 60 AND word ~ ''[[:alpha:]]''',
      one, format('SELECT words FROM search_document_d%s', one));
    EXECUTE format('ANALYZE search_word_d%s', one);
  END LOOP;
END $$;
