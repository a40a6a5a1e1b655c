/** Questions to start from: those that the embedded model was taught, with words taken from the picture and the clamps at hand. */

export interface Question {
  name: string;
  text: string;
  /** The part to type over, if any. */
  replace?: string;
}

/** The first thing that a caption such as "a red heart at the top and …" names; null when it is of another kind. */
export function firstThing(caption: string | null | undefined): string | null {
  return /^an? (.{1,40}?) (?:at|in) the /.exec(caption ?? "")?.[1] ?? null;
}

const article = (noun: string) => (/^[aeiou]/i.test(noun) ? "an" : "a");

/** A label that can stand in a question: one thing, in a few plain words. */
function asNoun(label: string | null | undefined): string | null {
  if (!label || !/^[a-z][a-z -]{0,24}$/i.test(label) || /[^s]s$|background|picture/i.test(label)) return null;
  return label.toLowerCase().replace(/^an? /, "");
}

export function questions(caption: string | null | undefined, label: string | null | undefined): Question[] {
  const thing = firstThing(caption);
  const asked = asNoun(label) ?? "dog";
  return [
    { name: "What do you see?", text: "What do you see?" },
    { name: "How many?", text: "How many things are there?" },
    { name: `Where is the ${thing && thing.length < 12 ? thing : "…"}?`, text: `Where is the ${thing ?? "dog"}?`, replace: thing ?? "dog" },
    { name: `Is there ${article(asked)} ${asked}?`, text: `Is there ${article(asked)} ${asked}?`, replace: asked },
    { name: "In the middle?", text: "What is in the middle?", replace: "in the middle" },
    { name: "Background?", text: "What colour is the background?", replace: "background" },
    { name: "Feeling?", text: "How does the face feel?" },
    { name: "Sign?", text: "What does the sign say?" },
  ];
}

/** Follow-ups to an answer that named a thing. */
export const followUps: Question[] = [
  { name: "Where is it?", text: "Where is it?" },
  { name: "And to its left?", text: "And what is to its left?", replace: "left" },
  { name: "And to its right?", text: "And what is to its right?", replace: "right" },
];
