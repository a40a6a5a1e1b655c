"""What differs between model families: where each image's grid lies among a prompt's tokens."""
