/** A server for tests that need another than the one they share: the same build and bundle, a catalogue folder and an environment of its own. */
import { spawn } from "node:child_process";
import { guardLog } from "../cli/setup/guard.mjs";
import { inRoot } from "../cli/setup/paths.mjs";
import { freePort } from "../cli/setup/server.mjs";
import { routes } from "../lib/core/routes";

export interface OwnServer {
  url: string;
  end(): Promise<void>;
}

/** Resolves when it answers. One server at a time may have a folder. */
export async function startOwnServer(data: string, env: Record<string, string>): Promise<OwnServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(process.execPath, [inRoot("e2e", "serve.mjs"), "--port", String(port), "--data", data], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, FACET_GUARD_LOG: guardLog, ...env },
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  for (;;) {
    if (server.exitCode !== null) throw new Error(`The server ended with ${server.exitCode}.`);
    const answers = await fetch(`${url}${routes.api.health()}`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (answers) break;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return {
    url,
    end: async () => {
      server.kill("SIGTERM");
      await ended;
    },
  };
}
