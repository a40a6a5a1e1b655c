/** The guided stories that may lie in a bundle's folder (docs/stories.md). */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { checkReceipts, type RecordedEvent } from "@/lib/core/experiment";
import { type StoriesFile, storiesFileSchema } from "@/lib/core/story";
import { invalidBundle } from "./manifest";

export const storiesName = "stories.json";

/** Reads a bundle's stories; null where it has none. Throws `bundle_invalid`, naming the key, and `receipt_mismatch` for a run that is not its request's. */
export async function readStories(folder: string): Promise<StoriesFile | null> {
  const file = path.join(folder, storiesName);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw invalidBundle(`${file} cannot be read.`, undefined, cause);
  }
  const fix = "Make the stories again with the command that docs/stories.md names, or import without the file.";
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalidBundle(`${file} is not JSON.`, fix, cause);
  }
  const parsed = storiesFileSchema.safeParse(json);
  if (parsed.success) {
    for (const { run } of parsed.data.stories) checkReceipts(run.request, run.events as RecordedEvent[]);
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  throw invalidBundle(`${file}: "${issue?.path.join(".") || "(root)"}" is wrong: ${issue?.message}.`, fix, parsed.error);
}
