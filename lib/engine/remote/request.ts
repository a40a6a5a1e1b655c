/** What a worker is sent with a request: the pictures' pixels and the features' maxima, which only this server can look up. */
import type { z } from "zod";
import type { AttributionRequest } from "@/lib/core/attribution";
import { drawSubstitutes } from "@/lib/core/clamp-controls";
import { FacetError } from "@/lib/core/errors";
import type { AnalyseRequest, Arm, GenerateRequest, ImageRef } from "@/lib/core/protocol";
import {
  type wireAnalyseSchema,
  type wireAttributeSchema,
  type wireGenerateSchema,
  type wireImageSchema,
  wireProtocol,
} from "@/lib/core/worker-wire";
import { sharp } from "@/lib/sharp";
import type { WorkerInfo } from "@/lib/workers/info";
import type { GenerateOptions, ResolvedImage, Tap } from "../engine";
import { RequestQueue } from "../queue";

export type WireImage = z.infer<typeof wireImageSchema>;

/** Pictures are decoded one at a time, whoever asks: one may fill 150 MB until it is written anew. */
const decoding = new RequestQueue(1, Number.POSITIVE_INFINITY);

/** The pixels without loss, so that the worker sees what this server sees, whatever decoder it has. */
async function toPng({ width, height, data }: ResolvedImage): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 4, adaptiveFiltering: true })
    .toBuffer();
}

/** A picture as the worker is sent it, under the hash of the file that it was. Throws what `resolveImage` throws, and `too_large`. */
export async function wireImage(
  image: ImageRef,
  { imagePixels }: WorkerInfo["limits"],
  { signal, resolveImage }: Pick<GenerateOptions, "signal" | "resolveImage">,
): Promise<WireImage> {
  const ticket = decoding.enter(signal);
  try {
    for await (const _ of ticket.positions());
    const picture = await resolveImage(image);
    const { width, height, sha256 } = picture;
    if (width * height > imagePixels) {
      throw new FacetError(
        "too_large",
        `The picture has ${width} × ${height} pixels; the worker takes ${imagePixels.toLocaleString("en-US")}.`,
        {
          fix: "Send a smaller picture.",
        },
      );
    }
    return { sha256, data: (await toPng(picture)).toString("base64") };
  } finally {
    ticket.leave();
  }
}

/** Every picture that the messages name, in their order, and the messages with the hash in each one's place. */
export async function withoutPictures(
  messages: GenerateRequest["messages"],
  send: (image: ImageRef) => Promise<WireImage>,
): Promise<{ messages: GenerateRequest["messages"]; images: WireImage[] }> {
  const images: WireImage[] = [];
  const bare: GenerateRequest["messages"] = [];
  for (const message of messages) {
    const content: typeof message.content = [];
    for (const part of message.content) {
      if (part.type !== "image") {
        content.push(part);
        continue;
      }
      const image = await send(part.image);
      images.push(image);
      content.push({ type: "image", image: { sha256: image.sha256 } });
    }
    bare.push({ ...message, content });
  }
  return { messages: bare, images };
}

/**
 * The maximum of every feature that the worker will ask for: those that are clamped, and those that are drawn for the random control, where it runs, until
 * each draw is a live one. The worker draws as `drawSubstitutes` does, from the same seed.
 */
export function unitsFor(
  { interventions, randomSeed }: { interventions: GenerateRequest["interventions"]; randomSeed: number | null },
  numLatents: number,
  unitOf: GenerateOptions["unitOf"],
): Record<string, number> {
  const units: Record<string, number> = {};
  const told = (feature: number) => {
    const unit = Math.max(unitOf(feature), 0);
    units[feature] = unit;
    return unit;
  };
  const features = interventions.map(({ feature }) => feature);
  for (const feature of features) told(feature);
  if (randomSeed !== null) drawSubstitutes(features, numLatents, told, randomSeed);
  return units;
}

function wireTap(tap: Tap | undefined): z.infer<typeof wireGenerateSchema>["tap"] {
  if (!tap) return undefined;
  const force = Object.entries(tap.force ?? {}).filter((entry): entry is [Arm, number[]] => entry[1] !== undefined);
  return {
    ...(tap.onHidden && { hidden: true }),
    ...(tap.onLogits && { logits: true }),
    ...(force.length > 0 && { force: Object.fromEntries(force) as Partial<Record<Arm, number[]>> }),
  };
}

/** Throws `too_large`. */
function written(body: unknown, { requestBytes }: WorkerInfo["limits"]): string {
  const text = JSON.stringify(body);
  if (Buffer.byteLength(text) > requestBytes) {
    throw new FacetError("too_large", `The request has more than the ${Math.floor(requestBytes / 1024 / 1024)} MB that the worker takes.`, {
      fix: "Send smaller pictures, or fewer.",
    });
  }
  return text;
}

/** The body of `POST /v1/generate`. The request holds no picture any more. */
export function generateBody(
  request: GenerateRequest,
  images: WireImage[],
  units: Record<string, number>,
  tap: Tap | undefined,
  limits: WorkerInfo["limits"],
): string {
  const body: z.infer<typeof wireGenerateSchema> = { protocol: wireProtocol, request, images, units, tap: wireTap(tap) };
  return written(body, limits);
}

/** The body of `POST /v1/attribute`. The request holds no picture any more. */
export function attributeBody(
  request: AttributionRequest,
  images: WireImage[],
  units: Record<string, number>,
  limits: WorkerInfo["limits"],
): string {
  const body: z.infer<typeof wireAttributeSchema> = { protocol: wireProtocol, request, images, units };
  return written(body, limits);
}

/** The body of `POST /v1/features`. */
export function featuresBody(request: AnalyseRequest, image: WireImage, limits: WorkerInfo["limits"]): string {
  const bare = { ...request, image: { sha256: image.sha256 } };
  const body: z.infer<typeof wireAnalyseSchema> = { protocol: wireProtocol, request: bare, image };
  return written(body, limits);
}
