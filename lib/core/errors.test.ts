import { describe, expect, it, vi } from "vitest";
import { asFacetError, errorCodes, errorTable, FacetError } from "./errors";

describe("FacetError", () => {
  it("is known across copies of this module, as a server's bundles hold them", async () => {
    vi.resetModules();
    const copy = await import("./errors");
    expect(copy.FacetError).not.toBe(FacetError);
    const error = new copy.FacetError("engine_busy", "The engine is busy.");
    expect(error).toBeInstanceOf(FacetError);
    expect(asFacetError(error)).toBe(error);
    expect(asFacetError(error).status).toBe(503);
  });

  it("is nothing else", () => {
    for (const other of [new Error("x"), { code: "internal" }, null, "FacetError", undefined])
      expect(other instanceof FacetError).toBe(false);
    expect(asFacetError(new Error("secret detail"))).toMatchObject({ code: "internal" });
    expect(JSON.stringify(asFacetError(new Error("secret detail")))).not.toContain("secret");
  });

  it("carries what its code's row says, unless it knows better", () => {
    for (const code of errorCodes) {
      const error = new FacetError(code, "A sentence.");
      expect(error.toJSON()).toEqual({ code, message: "A sentence.", fix: errorTable[code].fix, retry: errorTable[code].retry });
      expect(error.status).toBe(errorTable[code].status);
    }
    expect(new FacetError("internal", "x", { fix: "Do this." }).fix).toBe("Do this.");
  });
});
