import path from "node:path";
import type { NextConfig } from "next";

const config: NextConfig = {
  poweredByHeader: false,
  reactStrictMode: true,
  // Native and worker-thread packages stay outside the bundle.
  serverExternalPackages: ["@electric-sql/pglite", "@electric-sql/pglite-pgvector", "onnxruntime-node", "sharp", "pg", "pino"],
  turbopack: { root: path.resolve(import.meta.dirname) },
};

export default config;
