/** onnxruntime-node behind `Runtime`. */
import path from "node:path";
import type { Runtime } from "./runtime";

/** A decoding step of a small model gains nothing from a second thread, and waits for it whenever the machine is busy. */
const threads = 1;

export async function nodeRuntime(folder: string): Promise<Runtime> {
  const ort = await import("onnxruntime-node");
  return {
    name: "onnxruntime-node",
    version: ort.env.versions.node ?? ort.env.versions.common,
    open: async (file) => {
      const session = await ort.InferenceSession.create(path.join(folder, file), {
        executionProviders: ["cpu"],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      });
      return { run: (feeds) => session.run(feeds) };
    },
    floats: (data, dims) => new ort.Tensor("float32", data, dims),
    integers: (data, dims) => new ort.Tensor("int64", data, dims),
  };
}
