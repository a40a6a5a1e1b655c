"""The OpenAI-compatible face of a worker: any client of that API can steer."""
