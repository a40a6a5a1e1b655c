import { afterEach, expect, it, vi } from "vitest";

afterEach(() => vi.unstubAllEnvs());

async function read(variables: Record<string, string>) {
  vi.resetModules();
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  return (await import("./env")).env;
}

it("takes several workers, in their order, and their token", async () => {
  const { workers } = await read({ FACET_WORKER_URL: "http://gpu-1:8000, https://gpu-2/facet ,", FACET_WORKER_TOKEN: " t " });
  expect(workers).toEqual({ urls: ["http://gpu-1:8000/", "https://gpu-2/facet"], token: "t" });
  expect((await read({ FACET_WORKER_URL: "", FACET_WORKER_TOKEN: "" })).workers).toEqual({ urls: [], token: undefined });
});

it("refuses what is no address, and one with a password, without repeating it", async () => {
  for (const url of ["gpu-1:8000", "ftp://gpu-1", "http://gpu-1/?token=x", "http://me:hush@gpu-1"]) {
    const error = await read({ FACET_WORKER_URL: url }).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ message: expect.stringMatching(/^FACET_WORKER_URL holds/) });
    expect(String(error)).not.toMatch(/hush|token=x/);
  }
});
