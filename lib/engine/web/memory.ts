/** What a model takes of a tab's memory, and what is said where it runs out. */
import { FacetError } from "@/lib/core/errors";

/** Engines word it in their own ways: V8 and JavaScriptCore by a RangeError, Firefox by "allocation size overflow", WebAssembly by bad_alloc. */
const outOfMemory = /out of memory|bad_alloc|allocat|array buffer|invalid (typed )?array length|memory access/i;

/** `engine_out_of_memory` where the cause says so, else null. */
export function memoryError(cause: unknown): FacetError | null {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (!(cause instanceof RangeError && !/call stack/i.test(text)) && !outOfMemory.test(text)) return null;
  return new FacetError("engine_out_of_memory", "This tab has not enough memory for the model.", {
    fix: "Close other tabs and try again, or ask for fewer arms, pictures or tokens.",
    cause,
  });
}

/** What was thrown in this tab, with a sentence. */
export function tabError(thrown: unknown): FacetError {
  if (thrown instanceof FacetError) return (thrown.code === "engine_failed" && memoryError(thrown.cause)) || thrown;
  const failed = () =>
    new FacetError("engine_failed", "The engine in this tab failed.", { fix: "Reload the page and try again.", cause: thrown });
  return memoryError(thrown) ?? failed();
}

const megabyte = 1e6;
/** The runtime and one prompt, beside the files: the embedded model's tab grew by 255 MB over 29 MB of files. */
const beside = 170 * megabyte;

/** Bytes that a model of `bytes` takes at its largest: its files, their copies in the runtime, and what it computes with. */
export const memoryNeeded = (bytes: number): number => 3 * bytes + beside;

/** A warning where the device's memory, in GB as the browser tells it (Chrome and Edge do), is less than twice what the model takes; else null. */
export function memoryWarning(bytes: number, deviceMemory: number | undefined): string | null {
  const needed = memoryNeeded(bytes);
  if (deviceMemory === undefined || deviceMemory * 1000 * megabyte >= 2 * needed) return null;
  return `This device has about ${deviceMemory} GB of memory and the model takes about ${Math.round(needed / megabyte)} MB of it, so the browser may end this tab: close others first.`;
}
