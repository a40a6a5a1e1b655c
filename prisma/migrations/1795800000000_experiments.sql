-- Saved experiments, and the runs that can become one.

-- What the engine streamed for the latest requests: an experiment is saved from here, so that its receipts are the engine's own. Old rows are
-- removed as new ones come (lib/catalog/runs.ts).
CREATE TABLE run (
  id text PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  recorded_at timestamptz NOT NULL,
  -- JSON, pictures by their hash.
  request text NOT NULL,
  -- JSON; null where it was too much to be kept.
  events text
);
CREATE INDEX run_recorded_at ON run (recorded_at);

-- Never changed once written. Nothing refers to a dictionary: an experiment outlives the one that it was made with.
CREATE TABLE experiment (
  id text PRIMARY KEY,
  -- Whole milliseconds, which the list's cursor carries.
  created_at timestamptz NOT NULL,
  -- What a list shows, as JSON.
  summary text NOT NULL,
  -- The experiment as JSON, byte for byte: the id is made from its hash.
  content text NOT NULL,
  -- Everything that is searched: title, note, question, answers, labels.
  body text NOT NULL,
  words tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, body)) STORED NOT NULL
);
CREATE INDEX experiment_created ON experiment (created_at, id);
CREATE INDEX experiment_words ON experiment USING gin (words);
CREATE INDEX experiment_body ON experiment USING gin (body gin_trgm_ops);

-- The pictures of experiments, uploaded or the catalogue's, once each. In the database and not beside the catalogue's files, so that an
-- experiment and its pictures are saved as one, and dropping a dictionary takes none of them away.
CREATE TABLE experiment_picture (
  sha256 text PRIMARY KEY,
  mime text NOT NULL,
  width integer NOT NULL,
  height integer NOT NULL,
  bytes bytea NOT NULL
);
