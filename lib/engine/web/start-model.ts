/** The model on the graphics device where it computes there as on the processor, else on the processor; one of the two stays in memory. */
import type { Provider } from "@/lib/core/engine-package";
import type { LoadedEngine } from "../onnx/load";

export interface StartedModel {
  loaded: LoadedEngine;
  /** Gives the model's memory back. */
  end(): Promise<void>;
}

export interface ModelHere {
  /** What computes now. */
  provider: Provider;
  /** The graphics device was tried and is not used. */
  refused: boolean;
  /** The model; once its graphics device is lost, another on the processor. */
  load(): Promise<LoadedEngine>;
}

/** Whether both see the same in a picture: what the hook is given, within what the order of float32 sums explains. */
async function agree(one: LoadedEngine, other: LoadedEngine): Promise<boolean> {
  try {
    const { size } = one.model.manifest.image;
    const pixels = Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i / 50));
    const statesOf = async ({ model }: LoadedEngine) => {
      const embeds = (await model.vision([pixels]))[0] as Float32Array;
      const { states, cache } = await model.lower(embeds, null);
      model.release(cache);
      return states;
    };
    // One after the other: both run in one instance of the package, whose calls must not overlap (runtime-web.ts).
    const a = await statesOf(one);
    const b = await statesOf(other);
    const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    return a.length === b.length && a.every((x, i) => Math.abs(x - (b[i] as number)) <= 1e-3 * largest);
  } catch {
    return false;
  }
}

/**
 * `start` makes the model anew each time. Throws as it does on the processor. `onProcessor` is called when a lost graphics device has been replaced.
 */
export async function startModel(
  provider: Provider,
  start: (on: Provider) => Promise<StartedModel>,
  onProcessor: () => void = () => {},
): Promise<ModelHere> {
  const reference = await start("wasm");
  const graphics = provider === "webgpu" ? await start("webgpu").catch(() => null) : null;
  const used = graphics && (await agree(graphics.loaded, reference.loaded)) ? graphics : reference;
  const unused = used === graphics ? reference : graphics;
  await unused?.end();
  let now = used;
  let fresh = true;
  const here: ModelHere = {
    provider: used === graphics ? "webgpu" : "wasm",
    refused: provider === "webgpu" && used === reference,
    load: async () => {
      if (!fresh) {
        // Asked again, the device is lost: the same build runs the model on the processor too.
        await now.end();
        now = await start("wasm");
        if (here.provider !== "wasm") {
          here.provider = "wasm";
          onProcessor();
        }
      }
      fresh = false;
      return now.loaded;
    },
  };
  return here;
}
