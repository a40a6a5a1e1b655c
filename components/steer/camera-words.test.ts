import { expect, it } from "vitest";
import { cameraError, noCameraHere } from "./camera-words";

it("says in a sentence why there is no picture, and what to do instead", () => {
  const named = (name: string) => cameraError(new DOMException("x", name));
  expect(named("NotAllowedError").message).toBe("The camera was refused to this page.");
  expect(named("NotFoundError").message).toBe("This device has no camera that the browser can find.");
  expect(named("NotReadableError").message).toContain("another program");
  for (const error of [named("NotAllowedError"), named("NotFoundError"), named("NotReadableError"), cameraError("?"), noCameraHere()]) {
    expect(error.fix).toContain("Upload, paste or drop a picture instead.");
  }
});
