import { expect, it } from "vitest";
import { firstThing, followUps, questions } from "./questions";

it("takes a thing from captions of the embedded model's kind only", () => {
  expect(firstThing("a red heart at the top-left and an owl in the middle on a blue background")).toBe("red heart");
  expect(firstThing("an owl in the middle on a green background")).toBe("owl");
  expect(firstThing("nothing on a green background")).toBeNull();
  expect(firstThing("A photograph of two people")).toBeNull();
  expect(firstThing(null)).toBeNull();
});

it("asks about what is at hand, and can be typed over", () => {
  const texts = questions("an owl in the middle on a green background", "ice cream").map((question) => question.text);
  expect(texts).toContain("Where is the owl?");
  expect(texts).toContain("Is there an ice cream?");
  expect(questions(null, "fires on <odd> labels; long")[3]?.text).toBe("Is there a dog?");
  for (const label of ["animals", "black background", "top of the picture"])
    expect(questions(null, label)[3]?.text).toBe("Is there a dog?");
  expect(questions(null, "a lemon")[3]?.text).toBe("Is there a lemon?");
  for (const { text, replace } of [...questions(null, null), ...followUps]) if (replace) expect(text).toContain(replace);
});
