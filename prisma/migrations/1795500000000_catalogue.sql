-- The catalogue. Lists read `feature` alone; the heavy payloads have tables of their own. Whatever belongs to a dictionary is partitioned by
-- it, so that importing or dropping one never rewrites another. The same SQL runs on PGlite and on PostgreSQL 16 and later.

CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Where an example lies among all activations of its feature; `text` is over tokens instead of a picture.
CREATE TYPE band AS ENUM ('top', 'upper', 'middle', 'lower', 'random', 'text');

CREATE TABLE model (
  id serial PRIMARY KEY,
  -- The part of addresses before the slash.
  slug text NOT NULL,
  name text NOT NULL,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  -- Side of the square input in pixels; null where it varies.
  image_size integer,
  grid_rows integer NOT NULL,
  grid_cols integer NOT NULL,
  UNIQUE (slug, sha256)
);

CREATE TABLE dictionary (
  id serial PRIMARY KEY,
  model_id integer NOT NULL REFERENCES model (id),
  -- `<model>/<dictionary>`, as addresses spell it. Several versions share one; the one that was last added is the default.
  ref text NOT NULL,
  name text NOT NULL,
  -- Of the weights: the dictionary's identity.
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  -- Of the list of files that it was imported from: tells an import that would change nothing.
  content_sha256 text NOT NULL,
  hook text NOT NULL,
  layer integer NOT NULL,
  num_latents integer NOT NULL,
  width integer NOT NULL,
  activation text NOT NULL,
  k integer,
  explained_variance double precision,
  fvu double precision,
  l0 double precision,
  dead_share double precision,
  loss_recovered double precision,
  -- Over how much the statistics were taken.
  images integer NOT NULL,
  image_tokens bigint,
  text_tokens bigint,
  -- Counted at import, so that no page counts again.
  features integer NOT NULL,
  alive integer NOT NULL,
  explained integer NOT NULL,
  scored integer NOT NULL,
  -- Histograms of every metric over the features, for the filters.
  histograms jsonb NOT NULL,
  attribution text,
  imported_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (model_id, name, sha256)
);
CREATE INDEX dictionary_ref ON dictionary (ref, id DESC);

-- Pixels lie on disk under their hash; a picture is stored once, however many features fire on it.
CREATE TABLE image (
  id serial PRIMARY KEY,
  sha256 text NOT NULL UNIQUE CHECK (length(sha256) = 64),
  mime text NOT NULL,
  width integer NOT NULL,
  height integer NOT NULL,
  bytes integer NOT NULL,
  source text,
  caption text
);
CREATE INDEX image_caption ON image USING gin (to_tsvector('english', coalesce(caption, '')));

-- Token strings, stored once.
CREATE TABLE text_sequence (
  id serial PRIMARY KEY,
  -- Of the tokens and of the picture before them.
  sha256 text NOT NULL UNIQUE,
  tokens text[] NOT NULL,
  image_id integer REFERENCES image (id)
);

CREATE TABLE feature (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  -- Of the preferred explanation.
  label text,
  concept text,
  -- Shares of tokens, 0..1.
  density double precision,
  text_density double precision,
  max_activation real,
  mean_activation real,
  image_share double precision,
  -- Scores of the preferred explanation, 0..1.
  iou double precision,
  steer double precision,
  images integer NOT NULL,
  active_tokens bigint NOT NULL,
  dead boolean NOT NULL,
  always_on boolean NOT NULL,
  sink boolean NOT NULL,
  explained boolean NOT NULL,
  PRIMARY KEY (dictionary_id, index)
) PARTITION BY LIST (dictionary_id);
-- One for each sort key: read forwards and backwards, a null metric apart.
CREATE INDEX feature_density ON feature (density, index);
CREATE INDEX feature_text_density ON feature (text_density, index);
CREATE INDEX feature_max_activation ON feature (max_activation, index);
CREATE INDEX feature_image_share ON feature (image_share, index);
CREATE INDEX feature_iou ON feature (iou, index);
CREATE INDEX feature_steer ON feature (steer, index);
CREATE INDEX feature_images ON feature (images, index);
CREATE INDEX feature_concept ON feature (concept, index);

-- What the search reads: one row a feature that has words.
CREATE TABLE search_document (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  label text NOT NULL,
  -- Every explanation of the feature, the preferred one first.
  body text NOT NULL,
  -- Stemmed words and words as they are, the label's before the body's.
  words tsvector NOT NULL,
  PRIMARY KEY (dictionary_id, index)
) PARTITION BY LIST (dictionary_id);
CREATE INDEX search_document_words ON search_document USING gin (words);
CREATE INDEX search_document_label ON search_document USING gin (label gin_trgm_ops);
CREATE INDEX search_document_body ON search_document USING gin (body gin_trgm_ops);

CREATE TABLE histogram (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  -- Equal bins from 0 to the feature's largest activation, over active image tokens.
  counts bigint[] NOT NULL,
  PRIMARY KEY (dictionary_id, index)
) PARTITION BY LIST (dictionary_id);

CREATE TABLE activation (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  band band NOT NULL,
  rank smallint NOT NULL,
  image_id integer,
  text_id integer,
  rows smallint NOT NULL,
  cols smallint NOT NULL,
  peak real NOT NULL,
  -- Over the whole grid, zeros included.
  mean real NOT NULL,
  -- Little-endian uint16 and IEEE fp16, in step.
  map_positions bytea NOT NULL,
  map_values bytea NOT NULL,
  PRIMARY KEY (dictionary_id, index, band, rank)
) PARTITION BY LIST (dictionary_id);
CREATE INDEX activation_image ON activation (image_id, index) WHERE image_id IS NOT NULL;

CREATE TABLE explanation (
  dictionary_id integer NOT NULL,
  id integer NOT NULL,
  index integer NOT NULL,
  method text NOT NULL,
  author text NOT NULL,
  text text,
  label text,
  concept text,
  -- Why there is no text.
  failure text,
  prompt text,
  created_at timestamptz NOT NULL,
  preferred boolean NOT NULL,
  PRIMARY KEY (dictionary_id, id),
  CHECK ((text IS NULL) = (failure IS NOT NULL))
) PARTITION BY LIST (dictionary_id);
CREATE INDEX explanation_feature ON explanation (index, id);

CREATE TABLE score (
  dictionary_id integer NOT NULL,
  explanation_id integer NOT NULL,
  metric text NOT NULL,
  value double precision,
  -- The same measurement on random features.
  baseline double precision,
  n integer NOT NULL,
  failure text,
  method text NOT NULL,
  PRIMARY KEY (dictionary_id, explanation_id, metric)
) PARTITION BY LIST (dictionary_id);

-- Ranked lists are arrays in step, best first: one row a feature and kind.
CREATE TABLE neighbour (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  kind text NOT NULL,
  neighbours integer[] NOT NULL,
  neighbour_values real[] NOT NULL,
  PRIMARY KEY (dictionary_id, index, kind)
) PARTITION BY LIST (dictionary_id);

CREATE TABLE feature_token (
  dictionary_id integer NOT NULL,
  index integer NOT NULL,
  kind text NOT NULL,
  tokens text[] NOT NULL,
  token_values real[] NOT NULL,
  PRIMARY KEY (dictionary_id, index, kind)
) PARTITION BY LIST (dictionary_id);
