# The worker, at the versions of its lock. Build from the repository's root:
#   docker build -f worker/deploy/worker.Dockerfile -t facet-worker .
FROM python:3.12-slim

RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /facet
COPY worker/pyproject.toml worker/requirements.lock worker/
COPY worker/facet_worker worker/facet_worker
# With Ray, for replicas.
RUN uv venv /venv && uv pip install --python /venv --no-cache "./worker[ray]" --constraint worker/requirements.lock

ENV PATH="/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
RUN useradd --create-home facet
USER facet
EXPOSE 8321
HEALTHCHECK --start-period=10m --interval=15s --timeout=15s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/health', timeout=12)"]
ENTRYPOINT ["facet-worker"]
CMD ["serve", "--help"]
