/** Why there is no picture from the camera, in a sentence that says what to do. */
import { FacetError } from "@/lib/core/errors";

const other = "Upload, paste or drop a picture instead.";

/** What a browser gives that has no camera for this page: one that is not opened over https or on this machine. */
export const noCameraHere = () =>
  new FacetError("forbidden", "Browsers give the camera only to pages opened over https or on this machine.", { fix: other });

/** What `getUserMedia` threw, by the name of its error. */
export function cameraError(cause: unknown): FacetError {
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new FacetError("forbidden", "The camera was refused to this page.", {
        fix: `Allow it in the browser's settings for this site and try again. ${other}`,
        cause,
      });
    case "NotFoundError":
    case "OverconstrainedError":
      return new FacetError("not_found", "This device has no camera that the browser can find.", { fix: other, cause });
    case "NotReadableError":
    case "AbortError":
      return new FacetError("engine_unavailable", "The camera does not start; another program may be using it.", {
        fix: `Close that program and try again. ${other}`,
        cause,
      });
    default:
      return new FacetError("internal", "The camera does not start.", { fix: other, cause });
  }
}
