import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile as write } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FacetError } from "@/lib/core/errors";
import { asOutputError, writeFile, writeFolder } from "./output";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-output-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const fill = (draft: string) => write(path.join(draft, "a.txt"), "a");

it("makes folders and files that were not there, and the folders above them", async () => {
  const at = path.join(folder, "x/y/out");
  expect(await writeFolder(at, (draft) => fill(draft).then(() => 7))).toBe(7);
  expect(await readFile(path.join(at, "a.txt"), "utf8")).toBe("a");
  await writeFile(path.join(folder, "list.csv"), (draft) => write(draft, "b"));
  expect((await readdir(folder)).sort()).toEqual(["list.csv", "x"]);
  await mkdir(path.join(folder, "empty"));
  await writeFolder(path.join(folder, "empty"), fill);
  expect(await readdir(path.join(folder, "empty"))).toEqual(["a.txt"]);
});

describe("leaves nothing behind", () => {
  const before = ["mine.txt"];
  beforeEach(() => write(path.join(folder, "mine.txt"), "mine"));

  it("when the work fails, is stopped, or the place was taken meanwhile", async () => {
    const at = path.join(folder, "new/out");
    const failing = writeFolder(at, async (draft) => {
      await fill(draft);
      throw new FacetError("image_not_found", "gone");
    });
    await expect(failing).rejects.toMatchObject({ code: "image_not_found" });
    const stop = new AbortController();
    const stopped = writeFolder(at, (draft) => fill(draft).then(() => stop.abort()), stop.signal);
    await expect(stopped).rejects.toMatchObject({ code: "cancelled", message: expect.stringContaining("Nothing was written") });
    expect(await readdir(folder)).toEqual(before);
    const taken = writeFolder(path.join(folder, "out"), async (draft) => {
      await fill(draft);
      await mkdir(path.join(folder, "out"));
      await write(path.join(folder, "out/theirs"), "theirs");
    });
    await expect(taken).rejects.toMatchObject({ code: "invalid_request", message: expect.stringContaining("not empty") });
    expect(await readdir(folder)).toEqual([...before, "out"]);
    expect(await readdir(path.join(folder, "out"))).toEqual(["theirs"]);
  });

  it("where something is already, or nothing can be", async () => {
    await symlink("nowhere", path.join(folder, "link"));
    await mkdir(path.join(folder, "empty"));
    const refused: [() => Promise<unknown>, RegExp][] = [
      [() => writeFolder(path.join(folder, "mine.txt"), fill), /mine\.txt is there already/],
      [() => writeFile(path.join(folder, "mine.txt"), fill), /mine\.txt is there already/],
      [() => writeFile(path.join(folder, "empty"), fill), /empty is there already/],
      [() => writeFile(path.join(folder, "link"), fill), /link is there already/],
      [() => writeFolder(folder, fill), /is there and is not empty/],
      [() => writeFolder(path.join(folder, "mine.txt/out"), fill), /a part of that path is a file \(ENOTDIR\)/],
      [() => writeFolder(path.join(folder, "n".repeat(300)), fill), /the name is too long/],
    ];
    for (const [writing, message] of refused) {
      const error = await writing().then(
        () => null,
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(FacetError);
      expect((error as FacetError).message).toMatch(message);
      expect((error as FacetError).fix).toMatch(/^(Name|Correct|Choose) /);
    }
    expect((await readdir(folder)).sort()).toEqual(["empty", "link", "mine.txt"]);
    expect(await readFile(path.join(folder, "mine.txt"), "utf8")).toBe("mine");
    expect(existsSync(path.join(folder, "empty/a.txt"))).toBe(false);
  });
});

it("says what the disk refused", () => {
  const system = (code: string) => Object.assign(new Error(code), { code, syscall: "write" });
  expect(asOutputError(system("ENOSPC"), "/out")).toMatchObject({ code: "disk_full", message: expect.stringContaining("/out is full") });
  expect(asOutputError(system("EROFS"), "/out")).toMatchObject({ message: expect.stringContaining("can only be read") });
  expect(asOutputError(system("EACCES"), "/out")).toMatchObject({ fix: "Name a place that you may write to." });
  const other = new Error("x");
  expect(asOutputError(other, "/out")).toBe(other);
});
