import config from "../postcss.config.mjs";

export default config;
