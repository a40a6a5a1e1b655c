"""Asking an OpenAI-compatible endpoint that reads pictures (vLLM, SGLang, hosted ones), within limits, and never the same thing twice."""
