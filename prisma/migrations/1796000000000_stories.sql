-- Guided stories that came with a bundle, a few a model: what the home page tells of an experiment. Importing the bundle again replaces its model's.
CREATE TABLE story (
  -- The model's name in addresses.
  model text NOT NULL,
  -- Order on the page, from 0.
  place integer NOT NULL,
  -- Of the dictionary that the story is about; it is told while the catalogue has one with these weights under its name.
  dictionary text NOT NULL,
  sha256 text NOT NULL,
  -- JSON (lib/core/story.ts).
  content text NOT NULL,
  PRIMARY KEY (model, place)
);
