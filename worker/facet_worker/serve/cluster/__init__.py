"""A worker as a Ray Serve application: replicas of one model behind a gateway. Ray places, starts, watches and replaces them; nothing here does."""
