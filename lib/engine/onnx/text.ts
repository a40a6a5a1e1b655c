/** The tokenizer as the engine uses it: ids of a prompt, words that the model does not know, and what each new token adds to the text. */
import { Tokenizer } from "@huggingface/tokenizers";
import { splitWords } from "@/lib/core/word-diff";

export class TextCodec {
  private readonly tokenizer: Tokenizer;
  private readonly unknownId: number | undefined;
  /** Strings that stand for special tokens. */
  readonly markers: string[];
  private readonly markerNames: Map<number, string>;

  /** The parsed tokenizer.json and tokenizer_config.json. */
  constructor(tokenizer: object, config: object) {
    this.tokenizer = new Tokenizer(tokenizer, config);
    const { model } = tokenizer as { model?: { unk_token?: string | null } };
    this.unknownId = model?.unk_token ? this.tokenizer.token_to_id(model.unk_token) : undefined;
    const special = [...this.tokenizer.get_added_tokens_decoder()].filter(([, token]) => token.special);
    this.markers = special.map(([, token]) => token.content);
    this.markerNames = new Map(special.map(([id, token]) => [id, token.content]));
  }

  encode(text: string): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** The name of a marker that adds nothing to a text, e.g. `</s>`; null for every other id. */
  marker(id: number): string | null {
    return this.markerNames.get(id) ?? null;
  }

  /** Words of a text that the model has no token for, each once. */
  unknownWords(text: string): string[] {
    if (this.unknownId === undefined) return [];
    const words = new Set(splitWords(text).map((word) => word.trim()));
    return [...words].filter((word) => /[\p{L}\p{N}]/u.test(word) && this.encode(word).includes(this.unknownId as number));
  }

  /** Tokens of a word as it begins a text and as it follows a space, the second only where it differs; none where the model cannot write it. */
  spellings(word: string): number[][] {
    const alone = this.encode(word);
    // What stands before the word is the space alone: some tokenizers give it a token of its own.
    const spaced = this.encode(` ${word}`);
    while (spaced.length > 1 && this.decode([spaced[0] as number]).trim() === "" && this.marker(spaced[0] as number) === null)
      spaced.shift();
    const known = [alone, spaced].filter((ids) => ids.length > 0 && !ids.includes(this.unknownId ?? -1));
    return known.filter((ids, i) => i === 0 || ids.join() !== known[0]?.join());
  }

  decode(ids: readonly number[]): string {
    return this.tokenizer.decode([...ids], { skip_special_tokens: true });
  }

  /** What `id` adds to the text of `ids`, with its leading space; empty while a character is incomplete. */
  added(ids: readonly number[], id: number): string {
    // The last few tokens decide; decoding all of them each time would be quadratic.
    const tail = ids.slice(-8);
    const before = this.settled(tail);
    const after = this.settled([...tail, id]);
    return after.startsWith(before) ? after.slice(before.length) : "";
  }

  private settled(ids: readonly number[]): string {
    return ids.length ? this.decode(ids).replace(/\ufffd+$/, "") : "";
  }
}
