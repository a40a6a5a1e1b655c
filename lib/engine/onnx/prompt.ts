/** Chat messages → the model's token ids and where its images lie, equal to the checkpoint's own chat template. */
import type { PromptLayout } from "@/lib/core/clamp";
import { FacetError } from "@/lib/core/errors";
import type { ImageRef, Message } from "@/lib/core/protocol";
import type { ChatParts, EngineManifest } from "./manifest";
import type { TextCodec } from "./text";

export interface Prompt {
  /** As written, one marker an image. */
  text: string;
  /** Image markers expanded to one id a grid cell. */
  ids: number[];
  layout: PromptLayout;
  /** In the order of `layout.images`. */
  images: ImageRef[];
  /** Words that the model has no token for. */
  unknown: string[];
}

/** The template around turns; `answer` asks for an answer at the end. Images come before their turn's words. */
export function renderChat(messages: readonly Message[], chat: ChatParts, answer = true): string {
  const turns = messages.map(({ role, content }) => {
    const images = content.filter(({ type }) => type === "image").map(() => chat.image);
    const words = content.flatMap((part) => (part.type === "text" && part.text.trim() ? [chat.text + part.text] : []));
    return role === "user" ? chat.user + images.join("") + words.join("") : chat.assistant + words.join("") + chat.end;
  });
  return chat.prefix + turns.join("") + (answer ? chat.assistant : "");
}

function textOf(message: Message): string {
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join(" ");
}

function refuseBadTurns(messages: readonly Message[], codec: TextCodec): void {
  messages.forEach((message, i) => {
    const due = i % 2 === 0 ? "user" : "assistant";
    if (message.role !== due) {
      throw new FacetError("invalid_request", `Message ${i + 1} is the ${message.role}'s where the ${due}'s turn is due.`, {
        fix: "Let user and assistant take turns, beginning with the user.",
      });
    }
    if (message.role === "assistant" && message.content.some(({ type }) => type === "image")) {
      throw new FacetError("invalid_request", `Message ${i + 1} gives an image to the assistant.`, {
        fix: "Put images into the user's messages.",
      });
    }
    const marker = codec.markers.find((marker) => textOf(message).includes(marker));
    if (marker) {
      throw new FacetError("invalid_request", `Message ${i + 1} contains ${marker}, which is one of the model's own markers.`, {
        fix: "Write it differently; images are given as parts of a message.",
      });
    }
    if (!textOf(message).trim()) throw new FacetError("prompt_empty", `Message ${i + 1} has no text.`);
  });
  if (messages.at(-1)?.role !== "user") {
    throw new FacetError("invalid_request", "The last message is the assistant's, so there is nothing to answer.", {
      fix: "End with a user's message.",
    });
  }
}

/** Throws `prompt_empty`, `prompt_too_long` or `invalid_request`. */
export function assemblePrompt(messages: readonly Message[], maxTokens: number, manifest: EngineManifest, codec: TextCodec): Prompt {
  refuseBadTurns(messages, codec);
  const prompt = layOut(renderChat(messages, manifest.chat), imagesOf(messages), manifest, codec);
  const room = manifest.tokens.max_positions;
  if (prompt.ids.length + maxTokens > room) {
    throw new FacetError(
      "prompt_too_long",
      `The prompt takes ${prompt.ids.length} positions and the answer up to ${maxTokens}; the model has room for ${room} in all.`,
    );
  }
  prompt.unknown = codec.unknownWords(messages.map(textOf).join(" "));
  return prompt;
}

/** An image and nothing else, as features are looked for. */
export function imagePrompt(image: ImageRef, manifest: EngineManifest, codec: TextCodec): Prompt {
  return layOut(renderChat([{ role: "user", content: [{ type: "image", image }] }], manifest.chat, false), [image], manifest, codec);
}

function imagesOf(messages: readonly Message[]): ImageRef[] {
  return messages.flatMap(({ content }) => content.flatMap((part) => (part.type === "image" ? [part.image] : [])));
}

function layOut(text: string, images: ImageRef[], manifest: EngineManifest, codec: TextCodec): Prompt {
  const { rows, cols } = manifest.image;
  const ids: number[] = [];
  const layout: PromptLayout = { length: 0, images: [] };
  for (const id of codec.encode(text)) {
    if (id !== manifest.tokens.image) {
      ids.push(id);
      continue;
    }
    layout.images.push({ start: ids.length, rows, cols });
    for (let cell = 0; cell < rows * cols; cell++) ids.push(id);
  }
  layout.length = ids.length;
  return { text, ids, layout, images, unknown: [] };
}
