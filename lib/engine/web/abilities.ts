/** What a browser must and may be able to do: checked before anything is fetched, and said in sentences. */
import { FacetError } from "@/lib/core/errors";

/** More gain nothing for a model this small, and take the machine from its person. */
const mostThreads = 4;

/** A module whose one function makes a vector of sixteen bytes: what knows no SIMD refuses it. */
const withVectors = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 0, 1, 0x7b],
  ...[3, 2, 1, 0],
  ...[10, 8, 1, 6, 0, 0x41, 0, 0xfd, 0x0f, 0x0b],
);

interface Scope {
  WebAssembly?: { validate(bytes: Uint8Array<ArrayBuffer>): boolean };
  OffscreenCanvas?: unknown;
}

/** Throws `engine_unavailable` where no model can run. */
export function refuseUnable(scope: Scope): void {
  const refuse = (lacks: string, fix: string) => new FacetError("engine_unavailable", `No model can run in this tab: ${lacks}.`, { fix });
  const current = "Use a current Chrome, Edge, Firefox or Safari.";
  if (!scope.WebAssembly) {
    throw refuse(
      "the browser runs no WebAssembly here",
      `Where Lockdown Mode or a policy turns it off, allow it for this site. ${current}`,
    );
  }
  if (!scope.WebAssembly.validate(withVectors)) throw refuse("the browser's WebAssembly has no SIMD", current);
  if (!scope.OffscreenCanvas) throw refuse("the browser draws no pictures in a worker", current);
}

/** On how many threads the processor computes, and why on no more. Threads share memory, which only an isolated page may. */
export function threadsHere(scope: { crossOriginIsolated?: boolean; SharedArrayBuffer?: unknown }, cores: number | undefined) {
  if (scope.crossOriginIsolated && scope.SharedArrayBuffer) return { threads: Math.max(1, Math.min(mostThreads, cores || 1)), note: null };
  const note = scope.crossOriginIsolated
    ? "The browser shares no memory between threads here, so one thread computes."
    : "The page is not isolated from other origins (served over plain HTTP, or through a proxy that drops its headers), so one thread computes.";
  return { threads: 1, note };
}

/** As much of a canvas as is asked. */
interface Surface {
  getContext(kind: "2d"): {
    fillStyle: unknown;
    fillRect(x: number, y: number, width: number, height: number): void;
    getImageData(x: number, y: number, width: number, height: number): { data: ArrayLike<number> };
  } | null;
}

const side = 16;

/** What is wrong with the pixels that a page reads here, in a sentence, or null: they are asked of a drawing whose pixels are known. */
export function pixelNote(make: (side: number) => Surface): string | null {
  const context = make(side).getContext("2d");
  if (!context) return null;
  const wanted: number[] = [];
  for (let i = 0; i < side * side; i++) {
    const [red, green, blue] = [(i * 37) % 256, (i * 101) % 256, 255 - i];
    wanted.push(red, green, blue, 255);
    context.fillStyle = `rgb(${red},${green},${blue})`;
    context.fillRect(i % side, Math.floor(i / side), 1, 1);
  }
  const { data } = context.getImageData(0, 0, side, side);
  if (wanted.every((value, i) => value === data[i])) return null;
  return (
    "The browser changes the pixels that a page reads of pictures (a protection against fingerprinting: Firefox's strict one, Brave's, some private windows), " +
    "so the model sees others than the server's would. Turn it off for this site to have the same."
  );
}

/** Why a file is not kept: the browser gives no store (`none`), or not enough room in it (`full`). */
export type Unkept = "none" | "full";

export const unkeptWords: Record<Unkept, string> = {
  none: "The browser keeps nothing for this page (a private window, or plain HTTP from another machine), so the model is fetched again on the next visit.",
  full: "The browser has no room to keep the model, so it is fetched again on the next visit.",
};
