const control = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/** The sign that stands for a character one cannot see, such as ␀ for the zero byte. */
function signOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

/** Text that came in an address, to be shown: characters that cannot be seen or that turn the line around as signs, cut to `most` characters. */
export function visible(text: string, most = 80): string {
  const characters = [...text];
  const cut = characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
  return cut.replace(control, signOf);
}
