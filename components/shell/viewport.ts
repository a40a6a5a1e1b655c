import type { Viewport } from "next";

/** What the browser colours around the page. */
export const windowColours: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#fbfbfa" },
    { media: "(prefers-color-scheme: dark)", color: "#131416" },
  ],
};
