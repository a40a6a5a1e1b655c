"""Explain features: by their top pictures, by what clamping them makes the model see, and by both."""
