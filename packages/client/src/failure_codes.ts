// Made by scripts/failure_codes.mjs of src/call/failure_codes.def.

/** Failures that mean: not done; the same call may succeed later. */
export const retryableCodes: ReadonlySet<string> = new Set([
  "actor.unavailable",
  "actor.overloaded",
  "actor.shutting_down",
  "actor.elsewhere",
  "actor.node_unreachable",
  "actor.queue_full",
  "request.timed_out",
  "request.rate_limited",
]);
