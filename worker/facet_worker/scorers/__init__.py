"""Score explanations, each beside the same measurement with another feature's explanation, its clamp, or other pictures."""
