import { formatIndex, formatRate, formatScore } from "@/lib/core/format";
import type { FeatureDetail, ImageExample } from "@/lib/core/records";
import { decodeMap } from "@/lib/core/sparse-map";
import { type Box, box, colours, drawCard, pictureBox, text } from "./draw";
import { clip, printable } from "./words";

export interface CardExample {
  example: ImageExample;
  bytes: Uint8Array;
}

/** How many of its pictures a feature's card shows. */
export const cardExamples = 3;

function numbers({ feature }: FeatureDetail): string {
  if (feature.dead) return "It never fires";
  const facts = [
    feature.density !== null ? `fires on ${formatRate(feature.density)} image tokens` : null,
    feature.iou !== null ? `IoU ${formatScore(feature.iou)}` : null,
  ];
  return facts.filter(Boolean).join(" · ");
}

/** A feature's strongest pictures under their heat, its label and its numbers. */
export async function featureCard(detail: FeatureDetail, examples: readonly CardExample[]): Promise<Uint8Array> {
  const { feature, dictionary } = detail;
  const label = (await printable(clip(feature.label ?? "", 200))) || (feature.dead ? "Dead feature" : "Unexplained feature");
  const explanation = await printable(clip(detail.explanations.find(({ preferred }) => preferred)?.text ?? "", 200));
  const max = feature.maxActivation ?? Math.max(...examples.map(({ example }) => example.peak));
  const pictures: Box[] = [];
  for (const { example, bytes } of examples.slice(0, cardExamples)) {
    pictures.push(await pictureBox(bytes, 330, { map: decodeMap(example.map), rows: example.rows, cols: example.cols, max }));
  }
  const content = box(
    { flexDirection: "column" },
    pictures.length > 0 ? box({ gap: 32, marginBottom: 26 }, ...pictures) : null,
    box(
      { alignItems: "baseline" },
      text(label, pictures.length > 0 ? 1 : 3, { fontSize: 46, fontWeight: 600, lineHeight: 1.2, maxWidth: 900 }),
      text(formatIndex(feature.index), 1, { marginLeft: 18, fontSize: 32, color: colours.muted }),
    ),
    text([explanation !== label ? explanation : "", numbers(detail)].filter(Boolean).join(" · "), 1, {
      marginTop: 6,
      fontSize: 28,
      color: colours.muted,
    }),
  );
  return drawCard(content, await printable(`${dictionary.id} of ${dictionary.model.name}`));
}
