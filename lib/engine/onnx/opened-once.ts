import { FacetError } from "@/lib/core/errors";
import type { Runtime, Session } from "./runtime";

/** A graph that is opened when it is first asked for; null where there is none. A failure is tried again. */
export function openedOnce(runtime: Runtime, file: string | undefined): (() => Promise<Session>) | null {
  if (file === undefined) return null;
  let opening: Promise<Session> | null = null;
  return () => {
    opening ??= runtime.open(file).catch((cause: unknown) => {
      opening = null;
      throw new FacetError("engine_unavailable", "The model's gradient could not be loaded.", { fix: "Export the model again.", cause });
    });
    return opening;
  };
}
