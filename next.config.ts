import path from "node:path";
import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";
import { limits } from "./lib/core/protocol";
import { dataPolicy, enginePolicy, fixedHeaders, sharedHeaders } from "./lib/core/security-headers";

const root = path.dirname(fileURLToPath(import.meta.url));

const config: NextConfig = {
  poweredByHeader: false,
  reactStrictMode: true,
  // A second build beside a running server goes elsewhere; cli/setup reads the same variable.
  distDir: process.env.FACET_DIST_DIR || ".next",
  // What tells the copy of files (site/) from this app, whatever the environment says.
  env: { NEXT_PUBLIC_FACET_STATIC: "", NEXT_PUBLIC_FACET_BASE: "" },
  // Native and worker-thread packages stay outside the bundle.
  serverExternalPackages: [
    "@electric-sql/pglite",
    "@electric-sql/pglite-pgvector",
    "onnxruntime-node",
    "sharp",
    "pg",
    "pino",
    "node-pg-migrate",
  ],
  // The builds of the runtime that leave their WebAssembly out: it is served and checked as the model's files are.
  turbopack: {
    root,
    resolveAlias: {
      "onnxruntime-web/wasm": "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs",
      "onnxruntime-web/webgpu": "./node_modules/onnxruntime-web/dist/ort.webgpu.min.mjs",
    },
  },
  // Types are checked by the test suite, whole and once: a start needs the app to compile, not its tests to be right.
  typescript: { ignoreBuildErrors: true },
  // Where a body passes the proxy, Next.js keeps this many bytes and cuts off the rest without an error: more than a route reads, so that
  // the route sees that a body is too large and says so.
  experimental: { proxyClientMaxBodySize: limits.requestBytes + 1024 * 1024 },
  // What browsers and readers of links ask for by themselves, whatever the page names as its icon.
  rewrites: async () => [{ source: "/favicon.ico", destination: "/icon.svg" }],
  // Headers that every answer carries, files and API included; the Content-Security-Policy of pages is made for each request in proxy.ts.
  headers: async () => [
    { source: "/:path*", headers: fixedHeaders },
    { source: "/embed/:path*", headers: sharedHeaders },
    { source: "/api/:path*", headers: [{ key: "Content-Security-Policy", value: dataPolicy }] },
    { source: "/api/:path*/card", headers: sharedHeaders },
    { source: "/api/engine/files/:path*", headers: [{ key: "Content-Security-Policy", value: enginePolicy }] },
  ],
};

export default config;
