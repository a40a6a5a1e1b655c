/** Answers of steering requests for a search: no drawing of tokens, only what each arm said in the end. */
import { FacetError } from "@/lib/core/errors";
import { type MendAnswer, type MendRun, type PanelAnswer, saysRight } from "@/lib/core/mend";
import type { PanelQuestion } from "@/lib/core/mend-panel";
import type { Arm, EngineEvent, GenerateRequest, Intervention, Mode, Receipt } from "@/lib/core/protocol";

/** Runs a request on the server or in the tab, as `streamSteer` does. */
export type SteerStream = (request: GenerateRequest, options: { signal: AbortSignal }) => AsyncGenerator<EngineEvent, void, void>;

/** How long a busy engine is left alone before it is asked again, and how often. */
const patience = { waitMs: 1_000, times: 60 };

const rest = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** The receipts of a request, by arm. Waits for an engine that is busy; throws what else goes wrong. */
export async function receiptsOf(stream: SteerStream, request: GenerateRequest, signal: AbortSignal): Promise<Map<Arm, Receipt>> {
  for (let times = 0; ; times++) {
    try {
      const receipts = new Map<Arm, Receipt>();
      for await (const event of stream(request, { signal })) if (event.type === "receipt") receipts.set(event.receipt.arm, event.receipt);
      return receipts;
    } catch (error) {
      if (!(error instanceof FacetError) || error.code !== "engine_busy" || times >= patience.times) throw error;
      await rest(patience.waitMs, signal);
    }
  }
}

interface MendRunOptions {
  stream: SteerStream;
  request: (over: Partial<GenerateRequest>) => GenerateRequest;
  right: string;
  /** The word that tells how near an answer is, see `partingWord`. */
  near: { word: string; first: boolean } | null;
}

/** What is not shown need not be computed. */
const bare = { controls: [], alternatives: 0, activeFeatures: 0 } satisfies Partial<GenerateRequest>;

/** A `MendRun` over an engine: the strengths of one attempt are the arms of one request, which shares its prefill. */
export function mendRun({ stream, request, right, near }: MendRunOptions): MendRun {
  let watched = near !== null;
  return async ({ fixed, swept, values }, signal) => {
    const [first = 1, ...others] = values;
    const over: Partial<GenerateRequest> = {
      ...bare,
      interventions: [...fixed, { ...swept, value: first }],
      sweep: others.length ? { clamp: fixed.length, values: others } : undefined,
    };
    const ask = () => receiptsOf(stream, request({ ...over, watch: watched && near ? [near.word] : undefined }), signal);
    let receipts: Map<Arm, Receipt>;
    try {
      receipts = await ask();
    } catch (error) {
      // A right answer whose words the model lacks can only be looked for.
      if (!watched || !(error instanceof FacetError) || error.code !== "word_unknown") throw error;
      watched = false;
      receipts = await ask();
    }
    return values.map((_, i): MendAnswer => {
      const receipt = receipts.get(i === 0 ? "steered" : `sweep:${i - 1}`);
      const watch = receipt?.watched?.[0];
      const text = receipt?.text ?? "";
      return { text, right: saysRight(text, right), nearness: watch ? (near?.first ? watch.first : watch.peak) : null };
    });
  };
}

/** One question of the panel, before and after. */
export interface PanelOutcome extends PanelAnswer {
  question: PanelQuestion;
}

interface PanelOptions {
  stream: SteerStream;
  dictionary: string;
  version: string | undefined;
  /** In which the clamps act: what they change is counted from the dictionary's output alone in mode reconstruct. */
  mode: Mode;
  questions: readonly PanelQuestion[];
  /** The request's own messages with another question, for questions of no picture of their own. */
  ask: (question: string) => GenerateRequest["messages"];
  onAnswer?: (done: number) => void;
}

/** Asks the panel under clamps; what the model answers by itself is asked once and kept. */
export function panelOver({ stream, dictionary, version, mode, questions, ask, onAnswer }: PanelOptions) {
  const before = new Map<PanelQuestion, string>();
  const concurrency = 2;
  const plainArm = mode === "reconstruct" ? "reconstruction" : "baseline";
  return async (clamps: Intervention[], signal: AbortSignal): Promise<PanelOutcome[]> => {
    const outcomes: PanelOutcome[] = new Array(questions.length);
    let next = 0;
    let done = 0;
    const worker = async () => {
      while (next < questions.length) {
        const i = next++;
        const question = questions[i] as PanelQuestion;
        signal.throwIfAborted();
        const known = before.get(question);
        const receipts = await receiptsOf(
          stream,
          {
            ...bare,
            dictionary,
            version,
            messages: question.image
              ? [
                  {
                    role: "user",
                    content: [
                      { type: "image", image: { sha256: question.image } },
                      { type: "text", text: question.text },
                    ],
                  },
                ]
              : ask(question.text),
            sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
            interventions: clamps,
            mode,
            controls: known === undefined ? [plainArm] : [],
          },
          signal,
        );
        const plain = known ?? receipts.get(plainArm)?.text ?? "";
        before.set(question, plain);
        outcomes[i] = { question, before: plain, after: receipts.get("steered")?.text ?? "" };
        onAnswer?.(++done);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return outcomes;
  };
}
