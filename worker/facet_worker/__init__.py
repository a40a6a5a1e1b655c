"""Facet's Python worker: train, cache, explain, score and export dictionaries."""
