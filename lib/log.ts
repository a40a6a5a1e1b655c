/** The server's log: JSON lines on standard output. Never the text or pixels of a request. */
import pino from "pino";
import { env } from "./env";

export const log = pino({ level: env.logLevel, base: undefined });
