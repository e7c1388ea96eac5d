import { ActorError } from "@skep/client";

import type { NativeFailure } from "./native.ts";

/**
 * What an actor's code throws for its caller to read. Everything else that it throws is masked: the
 * caller learns a reference, the log the rest.
 *
 * ```ts
 * throw new UserError("this name is taken", { code: "name_taken", metadata: { name } });
 * ```
 */
export class UserError extends ActorError {
  constructor(
    message: string,
    options: { code?: string; metadata?: unknown; cause?: unknown } = {},
  ) {
    const { code = "user_error", ...rest } = options;
    super("user", code, message, rest);
    this.name = "UserError";
  }
}

/** What a caller sent does not fit: the caller's own fault, and told to it. */
export class InvalidArguments extends ActorError {
  constructor(message: string, metadata?: unknown) {
    super("request", "invalid_arguments", message, { metadata });
  }
}

/** A failure of the actor's own database or host, which its callers may learn of. */
class OwnFailure extends ActorError {}

/**
 * What the addon threw, as an Error. `isOwn`: about this actor, not about another one that it
 * called.
 */
export function fromNative(thrown: unknown, isOwn: boolean): Error {
  if (thrown instanceof Error) return thrown;
  const { group, code, message, metadata, retryable } = thrown as NativeFailure;
  const options = { metadata: parseMetadata(metadata), retryable };
  return isOwn
    ? new OwnFailure(group, code, message, options)
    : new ActorError(group, code, message, options);
}

function parseMetadata(text: string): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether callers may read it as it is. */
export function isTold(error: unknown): error is ActorError {
  if (error instanceof UserError || error instanceof InvalidArguments) return true;
  return error instanceof OwnFailure && error.group === "actor" && error.code !== "sql";
}

export function toNative(error: ActorError): NativeFailure {
  return {
    group: error.group,
    code: error.code,
    message: error.message,
    metadata: metadataText(error.metadata),
    retryable: error.retryable,
  };
}

function metadataText(metadata: unknown): string {
  if (metadata === undefined) return "";
  try {
    const text: unknown = JSON.stringify(metadata, (_, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    return typeof text === "string" ? text : "";
  } catch {
    return "";
  }
}

/** Of what was masked. */
export function masked(reference: string): NativeFailure {
  return {
    group: "internal",
    code: "internal",
    message: `an internal error; the server's log has more under ${reference}`,
    metadata: "",
    retryable: false,
  };
}
