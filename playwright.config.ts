import { defineConfig, devices } from "@playwright/test";
import { findChromium } from "./cli/setup/chromium.mjs";
import { freePort } from "./cli/setup/server.mjs";

// The configuration is read again in every worker, which finds the port that the first reading chose. FACET_E2E_URL names a server that
// already runs, to write tests against.
const running = process.env.FACET_E2E_URL;
process.env.FACET_E2E_PORT ||= String(await freePort());
const port = process.env.FACET_E2E_PORT;
/** Specs that ask the server for what it holds, and change nothing. */
const reading = /\/(api|dictionary|feature|image|pages|versions)\.spec\.ts$/;
const executablePath = findChromium() ?? undefined;

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  workers: 2,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: process.env.CI ? 1 : 0,
  // Slow machines are the rule here: waits are for states, and these are only the ends of patience.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: [["list"], ["json", { outputFile: "artefacts/reports/playwright.json" }]],
  use: {
    ...devices["Desktop Chrome"],
    baseURL: running ?? `http://127.0.0.1:${port}`,
    viewport: { width: 1440, height: 900 },
    // Recording every test takes a tenth of its time: where a failed test is tried again, the second try is recorded.
    trace: process.env.CI ? "on-first-retry" : "retain-on-failure",
    screenshot: "only-on-failure",
    actionTimeout: 30_000,
    navigationTimeout: 60_000,
    contextOptions: { reducedMotion: "reduce" },
    permissions: ["clipboard-read", "clipboard-write"],
    launchOptions: {
      executablePath,
      // Containers run as root without user namespaces; nothing but our own pages is opened.
      args: [
        ...(process.platform === "linux" ? ["--no-sandbox", "--disable-dev-shm-usage"] : []),
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
      ],
    },
  },
  // One server with one engine behind: tests that ask it for answers, or save and list them, take turns; those that only read run beside them.
  projects: [
    { name: "reading", testMatch: reading, fullyParallel: true },
    { name: "answers", testIgnore: reading, workers: 1 },
  ],
  webServer: running
    ? undefined
    : {
        command: `node e2e/serve.mjs --port ${port}`,
        url: `http://127.0.0.1:${port}/api/health`,
        // Build and import included, where they were not done before.
        timeout: 10 * 60_000,
        stdout: "pipe",
        stderr: "pipe",
        gracefulShutdown: { signal: "SIGTERM", timeout: 10_000 },
      },
});
