// Raw requests: an actor's own answers, as Request and Response of the Fetch standard.

import { Command, type Payload } from "./native.ts";
import type { Operations } from "./operations.ts";

/** A body that is there at once, up to this size, is sent in one piece. */
const wholeBytesMax = 256 * 1024;

/** `line`: "GET /path?query". */
export function requestOf(
  line: string,
  headers: Headers,
  body: Payload | undefined,
  signal: AbortSignal,
): Request {
  const space = line.indexOf(" ");
  const method = line.slice(0, space);
  const hasBody = method !== "GET" && method !== "HEAD" && body !== undefined && body.length > 0;
  return new Request(`http://${headers.get("host") ?? "actor"}${line.slice(space + 1)}`, {
    method,
    headers,
    signal,
    ...(hasBody && { body: body as string | Uint8Array<ArrayBuffer> }),
  });
}

/** Ends when the response has been said, or handed over as a stream. Nothing: "no content". */
export async function respond(operations: Operations, response: unknown): Promise<void> {
  if (response === undefined) return;
  if (!(response instanceof Response))
    throw new TypeError("onRequest gives a Response, or nothing");
  const head = [response.status, [...response.headers]];
  const reader = response.body?.getReader();
  if (!reader) {
    await operations.command(Command.Respond, [...head, new Uint8Array()]);
    return;
  }
  try {
    const { chunks, next } = await readAtOnce(reader);
    if (!next) {
      await operations.command(Command.Respond, [...head, Buffer.concat(chunks)]);
      return;
    }
    await operations.command(Command.RespondBegin, head);
    for (const chunk of chunks) await operations.command(Command.RespondWrite, [chunk]);
    for (let each = await next; !each.done; each = await reader.read()) {
      await operations.command(Command.RespondWrite, [bytesOf(each.value)]);
    }
  } catch (error) {
    // The client has gone, or the stream broke: whoever writes into it hears of it.
    reader.cancel(error).catch(() => {});
    throw error;
  }
}

type Read = ReadableStreamReadResult<unknown>;

/** What can be read without waiting for anything; `next`: there may be more. */
async function readAtOnce(
  reader: ReadableStreamDefaultReader<unknown>,
): Promise<{ chunks: Uint8Array[]; next?: Promise<Read> }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (true) {
    const next = reader.read();
    const read = size > wholeBytesMax ? null : await orNull(next);
    if (!read) return { chunks, next };
    if (read.done) return { chunks };
    const bytes = bytesOf(read.value);
    size += bytes.length;
    chunks.push(bytes);
  }
}

/** Null: it is not settled after all that could run has run. */
function orNull(promise: Promise<Read>): Promise<Read | null> {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject);
    setImmediate(resolve, null);
  });
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return Buffer.from(chunk, "utf8");
  throw new TypeError("a response's stream gives bytes or text");
}
