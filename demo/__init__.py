"""The recipe of the embedded model: a synthetic world, a small LLaVA that learns it, and its evaluation."""
