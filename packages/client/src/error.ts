import { retryableCodes } from "./failure_codes.ts";

/** What a failure looks like on the wire. */
export interface Failure {
  readonly group: string;
  readonly code: string;
  readonly message: string;
  readonly metadata?: unknown;
}

/**
 * Why a call, a connection or a request failed. Everything that this package rejects with is one,
 * but for the reason of an aborted `AbortSignal`, which is passed on as it is.
 *
 * Groups: `user` (what the actor's code threw as a `UserError`), `actor`, `request`, `access`,
 * `internal` (all from the server), and `client` (from this package):
 *
 * | code of `client` | |
 * |---|---|
 * | `connection_lost` | the connection ended while the call was under way: it may have happened, or not |
 * | `network` | the same for a request over HTTP |
 * | `offline` | no connection in time (or at once, with the policy `fail`): the call has not been sent |
 * | `queue_full` | too many calls wait already: the call has not been sent |
 * | `too_large` | the message is larger than a server takes |
 * | `invalid_value` | an argument is something that cannot be sent |
 * | `disposed` | the connection was given up by `dispose()` |
 * | `closed` | the server closed the connection for good; `metadata` has the WebSocket's close code |
 * | `bad_response` | an answer that is not Skep's; `metadata` has the HTTP status |
 * | `token_failed`, `params_failed` | what `getToken` or `getParams` threw; `cause` is that |
 * | `invalid_url` | the WebSocket does not take the URL |
 * | `no_websocket` | this runtime has no WebSocket |
 */
export class ActorError extends Error {
  readonly group: string;
  readonly code: string;
  /** What else the actor's code or the server tells. */
  readonly metadata: unknown;
  /** Whether the call has certainly not happened, and the same call may succeed later. */
  readonly retryable: boolean;

  constructor(
    group: string,
    code: string,
    message: string,
    options: { metadata?: unknown; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "ActorError";
    this.group = group;
    this.code = code;
    this.metadata = options.metadata;
    this.retryable = options.retryable ?? retryableCodes.has(`${group}.${code}`);
  }
}

/** An error of this package's own making. */
export function clientError(
  code: string,
  message: string,
  options: { metadata?: unknown; retryable?: boolean; cause?: unknown } = {},
): ActorError {
  return new ActorError("client", code, message, { retryable: false, ...options });
}

/** Null when `value` is no failure. */
export function errorFrom(value: unknown, retryable?: boolean): ActorError | null {
  const { group, code, message, metadata } = (value ?? {}) as Partial<Failure>;
  if (typeof group !== "string" || typeof code !== "string") return null;
  return new ActorError(group, code, typeof message === "string" ? message : code, {
    metadata,
    ...(retryable ? { retryable } : {}),
  });
}

/** What was thrown, as an ActorError. */
export function toActorError(thrown: unknown, code: string): ActorError {
  if (thrown instanceof ActorError) return thrown;
  return clientError(code, thrown instanceof Error ? thrown.message : String(thrown), {
    cause: thrown,
  });
}
