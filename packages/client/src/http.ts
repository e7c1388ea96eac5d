// Requests over HTTP: encoding, failures, and tries again where that is safe.

import { type Backoff, delayMs, wait } from "./backoff.ts";
import { decode, encode, type Encoding, mediaType } from "./codec.ts";
import { ActorError, clientError, errorFrom, toActorError } from "./error.ts";

/** What is the same for all requests and connections of a client. */
export interface Context {
  readonly base: string;
  readonly encoding: Encoding;
  readonly backoff: Backoff;
  readonly retries: number;
  readonly fetch: typeof fetch;
  readonly headers: () => HeadersInit;
  readonly token: () => Promise<string | undefined>;
  /** Whether token() may give another one the next time. */
  readonly mayRenewToken: boolean;
  readonly webSocket: (new (url: string, protocols?: string[]) => WebSocket) | undefined;
  readonly pingMs: number;
  readonly connectTimeoutMs: number;
  readonly messageBytesMax: number;
  readonly offline: {
    readonly policy: "wait" | "fail";
    readonly callsMax: number;
    readonly timeoutMs: number;
  };
}

/** How a call is made. */
export interface CallOptions {
  /**
   * Gives up the call: it rejects with the signal's reason. What it did in the actor is not undone.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * The call may happen twice without harm: then it is made again also when it is not known whether
   * it has happened.
   */
  readonly idempotent?: boolean | undefined;
  /**
   * How often it is made again at most. Without `idempotent` only where it has certainly not
   * happened. 3
   */
  readonly retries?: number | undefined;
}

interface HttpCall extends CallOptions {
  readonly method: string;
  readonly url: string;
  /** Left out: no body. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** With the token, if there is one. */
export async function authorized(
  context: Context,
  init: HeadersInit | undefined,
): Promise<Headers> {
  const headers = new Headers(context.headers());
  new Headers(init).forEach((value, name) => headers.set(name, value));
  const token = await context.token();
  if (token !== undefined && !headers.has("authorization"))
    headers.set("authorization", `Bearer ${token}`);
  return headers;
}

/** The decoded body of the answer. */
export async function call(context: Context, request: HttpCall): Promise<unknown> {
  const body = "body" in request ? encodeOrThrow(request.body, context.encoding) : undefined;
  const retries = request.retries ?? context.retries;
  for (let tries = 0; ; ++tries) {
    try {
      return await callOnce(context, request, body);
    } catch (error) {
      if (!(error instanceof ActorError && error.retryable) || tries >= retries) throw error;
    }
    await wait(delayMs(context.backoff, tries), request.signal);
  }
}

export function encodeOrThrow(
  value: unknown,
  encoding: Encoding,
): Uint8Array<ArrayBuffer> | string {
  try {
    return encode(value, encoding);
  } catch (error) {
    throw toActorError(error, "invalid_value");
  }
}

async function callOnce(
  context: Context,
  { method, url, signal, idempotent = false, headers: own = {} }: HttpCall,
  body: Uint8Array<ArrayBuffer> | string | undefined,
): Promise<unknown> {
  signal?.throwIfAborted();
  const headers = await authorized(context, { accept: mediaType(context.encoding), ...own });
  if (body !== undefined) headers.set("content-type", mediaType(context.encoding));
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await context.fetch(url, {
      method,
      headers,
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
    });
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    signal?.throwIfAborted();
    throw clientError("network", `${method} ${url}: ${causeOf(error)}`, {
      retryable: idempotent,
      cause: error,
    });
  }
  const value = bodyOf(response, bytes);
  if (response.ok && value !== undefined) return value.of;
  throw failureOf(response, value?.of);
}

/** What a client says about itself, beside a request: JSON in the letters that a header may have. */
export function paramsHeader(params: unknown): Record<string, string> {
  if (params === undefined) return {};
  const json = encodeOrThrow(params, "json") as string;
  const escape = (letter: string): string =>
    `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return { "x-skep-params": json.replace(/[^ -~]/g, escape) };
}

/** `fetch` says "fetch failed" and keeps why to itself. */
function causeOf(error: unknown): string {
  const { message, cause } = error as {
    message?: string;
    cause?: { message?: string; code?: string };
  };
  return cause?.message || cause?.code || message || String(error);
}

/** Undefined when the body is neither CBOR nor JSON. */
function bodyOf(response: Response, bytes: Uint8Array): { of: unknown } | undefined {
  const type = response.headers.get("content-type") ?? "";
  try {
    if (type.startsWith(mediaType("cbor"))) return { of: decode(bytes) };
    if (type.startsWith(mediaType("json"))) return { of: decode(new TextDecoder().decode(bytes)) };
  } catch {
    // As any other body that is not Skep's.
  }
  return undefined;
}

/** An answer that is none of success, with its decoded body. */
export function failureOf(response: Response, value: unknown): ActorError {
  const { status } = response;
  return (
    errorFrom(value, response.headers.has("retry-after")) ??
    clientError("bad_response", `HTTP ${status} without an answer of Skep's`, {
      metadata: { status },
    })
  );
}

/**
 * Asks over HTTP why a WebSocket did not open, which browsers do not tell: an error when the server
 * refuses it for good, null when it may open the next time.
 */
export async function whyRefused(
  context: Context,
  url: string,
  signal: AbortSignal,
): Promise<ActorError | null> {
  const headers = await authorized(context, { accept: mediaType("json") });
  const response = await context.fetch(url, { signal, headers });
  const { status } = response;
  // Without an upgrade, 426 is what a server says that would have accepted one.
  const isPassing = status < 400 || status >= 500 || [408, 425, 426, 429].includes(status);
  const body = await response.text();
  if (isPassing) return null;
  let value: unknown;
  try {
    value = decode(body);
  } catch {
    // The status says enough.
  }
  return failureOf(response, value);
}
