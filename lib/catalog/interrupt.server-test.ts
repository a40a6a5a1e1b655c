/** On a real server: the embedded database ends when it is interrupted. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
});
afterAll(() => catalog?.close());

it("never again uses a connection that was interrupted: the request to cancel may come when another statement runs there", async () => {
  const pid = "SELECT pg_backend_pid() AS pid";
  let interrupted = 0;
  const work = catalog.db.transaction(async (client) => {
    interrupted = (await client.query<{ pid: number }>(pid)).rows[0]?.pid ?? 0;
    await catalog.db.interrupt(interrupted, client);
    throw new Error("stopped");
  });
  await expect(work).rejects.toThrow();
  for (let i = 0; i < 20; i++) expect((await catalog.db.rows<{ pid: number }>(pid))[0]?.pid).not.toBe(interrupted);
});
