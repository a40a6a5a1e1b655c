/** Runs in the browser before any other code of ours. */
import { config } from "zod/v4/core";

// Else zod tries whether it may make code from strings, which the Content-Security-Policy refuses and reports.
config({ jitless: true });
