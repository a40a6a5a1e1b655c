/** Where a story leads: the trace of its word, its features' pages, the sandbox, the saved experiment. */
import { routes } from "@/lib/core/routes";
import { encodeSteerLink, linkFromRequest, steerHref } from "@/lib/core/steer-link";
import type { KeptStory } from "@/lib/core/story";
import { traceHref } from "@/lib/core/trace-link";

export function storyLinks({ request, token, cause, clamped, experiment }: KeptStory) {
  const link = linkFromRequest(request);
  const { dictionary } = request;
  return {
    /** The answer as the model gives it by itself, its word chosen and the feature's row open. */
    trace: traceHref(dictionary, encodeSteerLink({ ...link, clamps: [], controls: [], watch: [] }), { token, feature: cause.feature }),
    cause: routes.feature(dictionary, cause.feature),
    clamped: routes.feature(dictionary, clamped.feature),
    sandbox: steerHref(dictionary, encodeSteerLink(link)),
    experiment: routes.experiment(experiment),
  };
}
