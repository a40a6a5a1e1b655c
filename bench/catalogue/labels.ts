/** Labels and explanations as a multimodal model writes them: few common things, many rare ones, attributes, parts and places. */
import type { Concept } from "@/lib/core/records";

const list = (text: string) => text.trim().split(/\s*,\s*/);

const things =
  list(`dog, person, car, face, hand, tree, text, building, bird, flower, window, sky, chair, table, bottle, cat, water, horse, book,
  clock, boat, bicycle, train, traffic light, street sign, umbrella, airplane, plate, cup, shoe, hat, phone, laptop, keyboard, screen, door, wheel,
  bus, truck, motorcycle, bench, bag, ball, kite, skateboard, surfboard, tennis racket, baseball bat, glove, knife, fork, spoon, bowl, banana, apple,
  orange, lemon, sandwich, broccoli, carrot, pizza, doughnut, cake, couch, bed, potted plant, toilet, sink, refrigerator, oven, microwave, toaster,
  vase, scissors, teddy bear, hair dryer, toothbrush, elephant, bear, zebra, giraffe, sheep, cow, goat, pig, lion, tiger, monkey, rabbit, squirrel,
  fox, wolf, deer, moose, penguin, owl, eagle, duck, swan, parrot, peacock, rooster, turtle, snake, lizard, frog, fish, shark, whale, dolphin,
  octopus, jellyfish, crab, lobster, shrimp, butterfly, bee, spider, ant, ladybug, snail, mountain, river, lake, beach, waterfall, desert, forest,
  cloud, sun, moon, star, rainbow, lightning, snowman, campfire, candle, lamp, lantern, chandelier, mirror, curtain, carpet, pillow, blanket, towel,
  ladder, bucket, hammer, screwdriver, wrench, drill, saw, nail, rope, chain, lock, key, bell, flag, balloon, gift box, ribbon, crown, ring,
  necklace, earring, watch, glasses, sunglasses, scarf, tie, shirt, dress, jacket, coat, trousers, sock, boot, sandal, helmet, mask, wig, beard,
  moustache, eye, ear, nose, mouth, tooth, finger, foot, knee, elbow, shoulder, statue, fountain, bridge, tower, castle, church, temple, mosque,
  windmill, lighthouse, barn, fence, gate, staircase, escalator, elevator, tunnel, road, crosswalk, pavement, railway track, harbour, anchor,
  sailboat, canoe, submarine, helicopter, rocket, satellite, parachute, tractor, bulldozer, crane, ambulance, fire engine, police car, taxi, scooter,
  wheelchair, stroller, suitcase, backpack, wallet, coin, banknote, envelope, stamp, newspaper, magazine, notebook, pencil, pen, brush, paint,
  palette, guitar, violin, piano, drum, trumpet, flute, microphone, headphones, loudspeaker, camera, television, radio, projector, robot, circuit
  board, cable, battery, light bulb, telescope, microscope, test tube, syringe, pill, bandage, skull, bone, map, globe, compass, chessboard, dice,
  playing card, puzzle, kettle, teapot, coffee, wine glass, beer, bread, cheese, egg, rice, noodles, soup, salad, sushi, burger, ice cream,
  chocolate, honey, mushroom, tomato, potato, onion, garlic, pepper, cucumber, pumpkin, corn, grape, cherry, strawberry, pineapple, melon, peach`);

const attributes =
  list(`red, blue, green, yellow, white, black, brown, pink, purple, orange, grey, golden, silver, striped, spotted, checked,
  wooden, metal, glass, plastic, leather, stone, brick, furry, shiny, matte, rusty, wet, dusty, broken, old, new, small, large, tall, round,
  square, curved, sharp, blurry, dark, bright, transparent, folded, open, closed, empty, full, sleeping, running, flying, sitting, smiling,
  crying, angry, surprised, cartoon, painted, embroidered, neon, vintage, toy, paper, frozen, burning`);

const places =
  list(`on a table, on grass, in the street, at night, in water, in the snow, against the sky, in a kitchen, in a child's drawing,
  on a white background, in a museum, behind glass, next to a person, in a crowd, on a shelf, in black and white, in the foreground,
  in the distance, at the edge of the picture, in a mirror, on a plate, on a wall, under a tree, in the rain, in a logo, on a poster,
  in a screenshot, on a beach, in a forest, in an office, on a bed, at a market, in a stadium, on stage, in a workshop, on a boat, in a garden,
  in a comic, in a medical image, seen from above`);

const parts =
  list(`edge, corner, handle, wheel, leg, tail, ear, eye, wing, roof, window, surface, shadow, reflection, outline, label, button,
  stem, leaf, tip, base, rim, lid, seam, pattern, texture, inside, back, front, upper half, lower half, left side, right side, feathers, fur`);

const others: [Concept, string[]][] = [
  ["emotion", list("sadness, joy, anger, fear, surprise, disgust, calm, boredom, affection, loneliness, excitement, pride, shame, hope")],
  [
    "text",
    list(
      "the letter A, the letter S, the letter K, digits, a question mark, Chinese characters, cursive writing, a price, a date, a caption",
    ),
  ],
  ["position", list("top left corner, bottom right corner, centre of the picture, border, horizon line, last image row")],
  ["action", list("throwing, eating, pointing, waving, jumping, swimming, reading, cooking, hugging, dancing, driving, falling, climbing")],
  ["texture", list("fine grid, stripes, polka dots, grain, wood grain, marble, fur, scales, cracks, ripples, brush strokes, knitting")],
  ["colour", list("saturated red, pale blue, warm orange, deep green, high contrast, skin tone, sepia, pure white, gradients")],
];

/** Zipf's law flattened: the first of a list is some thirty times as frequent as the last. */
function pick<T>(of: readonly T[], random: () => number): T {
  return of[Math.floor(of.length * random() ** 1.9)] as T;
}

export interface Meaning {
  label: string;
  concept: Concept;
  text: string;
}

const openings = [
  "This feature activates on",
  "The highlighted regions consistently show",
  "The common element of the images is",
  "The activations lie on",
  "In every picture the neuron fires on",
];
const closings = [
  "It stays silent where the background is plain.",
  "The strongest responses lie near the centre of the object.",
  "Some weaker responses appear on similar shapes.",
  "It does not depend on the colour of the scene.",
  "Both photographs and drawings are among the examples.",
  "The surroundings seem to matter little.",
  "Activation grows with the size of the region.",
];

export function drawMeaning(random: () => number): Meaning {
  const kind = random();
  const thing = pick(things, random);
  const said = (label: string, concept: Concept, detail: string): Meaning => ({
    label,
    concept,
    text: `${pick(openings, random)} ${detail}. ${closings[Math.floor(random() * closings.length)]}`,
  });
  const attribute = pick(attributes, random);
  const place = pick(places, random);
  if (kind < 0.14) return said(thing, "object", `a ${thing}, often ${place}`);
  if (kind < 0.44) return said(`${attribute} ${thing}`, "object", `a ${attribute} ${thing}, sometimes ${place}`);
  if (kind < 0.62) return said(`${thing} ${place}`, "scene", `a ${thing} ${place}`);
  if (kind < 0.78) {
    const part = pick(parts, random);
    return said(`${part} of a ${thing}`, "part", `the ${part} of a ${thing}, most of all of a ${attribute} one`);
  }
  if (kind < 0.92) return said(`${attribute} ${thing} ${place}`, "scene", `a ${attribute} ${thing} ${place}`);
  const [concept, names] = others[Math.floor(random() * others.length)] as [Concept, string[]];
  const name = pick(names, random);
  return random() < 0.4 ? said(name, concept, `${name}`) : said(`${name} near a ${thing}`, concept, `${name} near a ${thing} ${place}`);
}
