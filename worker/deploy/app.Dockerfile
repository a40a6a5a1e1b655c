# The app. Build from the repository's root:
#   docker build -f worker/deploy/app.Dockerfile -t facet-app .
FROM node:22-slim

WORKDIR /facet
COPY . .
RUN npm run setup -- --build
ENV FACET_DATA_DIR=/data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --start-period=2m --interval=15s --timeout=10s \
    CMD ["node", "-e", "fetch('http://127.0.0.1:3000/api/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["npm", "start", "--", "--host", "0.0.0.0"]
