/** sharp in its CommonJS form: its ES modules hold syntax that Node knows only since 20.10. */
import { createRequire } from "node:module";

export const sharp: typeof import("sharp").default = createRequire(import.meta.url)("sharp");
