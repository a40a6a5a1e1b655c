import { afterEach, expect, it, vi } from "vitest";

const ref = "facet-emoji/model.layers.1";

afterEach(() => vi.unstubAllEnvs());

/** What a process started so has for a dictionary: an engine of its own, and the files for a tab. */
async function started(engine: string) {
  vi.stubEnv("FACET_ENGINE", engine);
  vi.resetModules();
  // The loaded engines outlive a module.
  delete (globalThis as { facetEngines?: unknown }).facetEngines;
  const { engineFor } = await import("./registry");
  const { enginePackage } = await import("./browser-package");
  return { engine: (await engineFor(ref, [])) !== null, files: (await enginePackage(ref))?.files.length ?? 0 };
}

it("hands out the model's files and runs none of them where the tabs are to", async () => {
  const usual = await started("server");
  expect(usual).toEqual({ engine: true, files: expect.any(Number) });
  expect(await started("tab")).toEqual({ engine: false, files: usual.files });
  expect(usual.files).toBeGreaterThan(5);
  await expect(started("both")).rejects.toThrow('FACET_ENGINE is "both"');
});
