"""The road from a checkpoint and a folder of images to a published dictionary: one configuration file, one run folder, resumable steps."""
