/** The size of pictures that stand for a page where a link to it is unfurled, in pixels: what the common readers ask for. */
export const cardSize = { width: 1200, height: 630 } as const;
