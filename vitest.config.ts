import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = path.dirname(fileURLToPath(import.meta.url));

export default defineConfig({
  resolve: { alias: { "@": root } },
  test: {
    // Components ask for a page with `// @vitest-environment jsdom` in their first line.
    environment: "node",
    include: [
      "{app,cli,components,lib,demo}/**/*.test.{ts,tsx}",
      "*.test.ts",
      // What only a real server shows: cli/test.mjs starts one.
      ...(process.env.FACET_TEST_DATABASE_URL ? ["{cli,lib}/**/*.server-test.ts"] : []),
      // What a real Python worker is needed for, which the tests start themselves: cli/test.mjs makes its environment.
      ...(process.env.FACET_TEST_WORKER ? ["{cli,lib}/**/*.worker-test.ts"] : []),
    ],
    exclude: ["**/node_modules/**", "lib/generated/**"],
    // Slow machines: a database is made in some tests.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    setupFiles: ["components/test-patience.ts"],
    // A person's own worker is none of the tests' business.
    env: { NEXT_TELEMETRY_DISABLED: "1", FACET_LOG_LEVEL: "silent", FACET_WORKER_URL: "", FACET_WORKER_TOKEN: "" },
  },
});
