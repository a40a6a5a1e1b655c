import path from "node:path";
import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** The app as files alone, for `npm run export:static` (docs/static.md): its pages are the same for every catalogue, and read their data in the tab. */
const config: NextConfig = {
  output: "export",
  // Next.js looks for its files in the folders above too: by this ending it finds none of the server's (proxy.ts).
  pageExtensions: ["static.tsx"],
  basePath: process.env.NEXT_PUBLIC_FACET_BASE ?? "",
  // A folder with an index.html for each page: the one form that every static host serves.
  trailingSlash: true,
  reactStrictMode: true,
  turbopack: {
    root,
    resolveAlias: {
      "onnxruntime-web/wasm": "../node_modules/onnxruntime-web/dist/ort.wasm.min.mjs",
      "onnxruntime-web/webgpu": "../node_modules/onnxruntime-web/dist/ort.webgpu.min.mjs",
    },
  },
  typescript: { ignoreBuildErrors: true },
};

export default config;
