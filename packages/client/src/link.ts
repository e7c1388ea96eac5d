// Link: one WebSocket to an actor, from the first try to open it to its end. It does not come back;
// Connection makes another one.

import { decode } from "./codec.ts";
import { ActorError, clientError, errorFrom, toActorError } from "./error.ts";
import { type Context, encodeOrThrow, whyRefused } from "./http.ts";

/** A message of docs/formats/websocket.md. */
export interface Message {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** How a link ended. */
export interface End {
  /** Of the WebSocket; 1006 when it has none. */
  readonly code: number;
  readonly reason: string;
  /** What is known of why. */
  readonly error: ActorError;
  /** Whether it makes no sense to come back. */
  readonly isFinal: boolean;
}

interface LinkEvents {
  /** The `connect` message is sent: others may follow. */
  open(): void;
  message(message: Message): void;
  /** Once; nothing comes after it. Not after close(). */
  ended(end: End): void;
}

const subprotocol = "skep.1";
/** Codes after which a client comes back; all others are bugs or refusals. */
const passingCodes = new Set([1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 4002]);

export class Link {
  readonly #context: Context;
  readonly #url: string;
  readonly #events: LinkEvents;
  readonly #abort = new AbortController();
  #socket: WebSocket | null = null;
  #hasEnded = false;
  #wasOpen = false;
  #isConnected = false;
  /** What the server said before it closed. */
  #said: ActorError | null = null;
  #wasHeard = false;
  #wasAsked = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `hello` gives the fields of the `connect` message. */
  constructor(context: Context, url: string, hello: () => Promise<object>, events: LinkEvents) {
    this.#context = context;
    this.#url = url;
    this.#events = events;
    this.#timer = setTimeout(
      () => this.#lose("the server did not answer in time"),
      context.connectTimeoutMs,
    );
    void this.#open(hello);
  }

  /** Whether messages may be sent. */
  get isOpen(): boolean {
    return this.#wasOpen && !this.#hasEnded && this.#socket?.readyState === 1;
  }

  /** Throws an ActorError when the message cannot be encoded, or is too large. */
  send(message: Message): void {
    const data = this.#encode(message);
    if (this.isOpen) this.#socket?.send(data);
  }

  /** Ends it, and says nothing more. */
  close(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#socket?.close(1000);
  }

  async #open(hello: () => Promise<object>): Promise<void> {
    let fields: object;
    let WebSocketClass: typeof WebSocket;
    try {
      [fields, WebSocketClass] = await Promise.all([hello(), findWebSocket(this.#context)]);
    } catch (error) {
      const reason = toActorError(error, "params_failed");
      return this.#end({ code: 1006, reason: "", error: reason, isFinal: isFinal(reason) });
    }
    if (this.#hasEnded) return;
    let socket: WebSocket;
    try {
      socket = new WebSocketClass(this.#url.replace(/^http/, "ws"), [subprotocol]);
    } catch (error) {
      return this.#end({
        code: 1006,
        reason: "",
        error: toActorError(error, "invalid_url"),
        isFinal: true,
      });
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened(fields);
    socket.onmessage = ({ data }: { data: ArrayBuffer | string }) => this.#take(data);
    socket.onclose = ({ code, reason }: { code: number; reason: string }) =>
      this.#closed(code, reason);
    // Without a listener, the package "ws" throws.
    socket.onerror = () => {};
  }

  #opened(fields: object): void {
    if (this.#hasEnded) return;
    this.#wasOpen = true;
    try {
      this.send({ type: "connect", ...fields });
    } catch (error) {
      return this.#giveUp({ code: 1006, reason: "", error: error as ActorError, isFinal: true });
    }
    this.#events.open();
  }

  #encode(message: Message): Uint8Array<ArrayBuffer> | string {
    const { encoding, messageBytesMax } = this.#context;
    const data = encodeOrThrow(message, encoding);
    // Text of so many UTF-16 units has at most three times as many bytes.
    const bytes =
      typeof data !== "string"
        ? data.length
        : data.length * 3 <= messageBytesMax
          ? 0
          : new Blob([data]).size;
    if (bytes <= messageBytesMax) return data;
    throw clientError(
      "too_large",
      `a message has at most ${messageBytesMax} bytes, this one has ${bytes}`,
    );
  }

  #take(data: ArrayBuffer | string): void {
    if (this.#hasEnded) return;
    this.#wasHeard = true;
    let message: Message;
    try {
      message = decode(data) as Message;
      if (typeof message?.type !== "string") throw new SyntaxError("it has no type");
    } catch (error) {
      return this.#lose(`a message of the server is broken: ${(error as Error).message}`);
    }
    if (message.type === "connected" && !this.#isConnected) {
      this.#isConnected = true;
      this.#listen();
    }
    if (message.type === "error" && message["id"] === undefined) {
      this.#said = errorFrom(message["error"], message["retry"] === true);
    }
    this.#events.message(message);
  }

  /**
   * A server that says nothing is asked for a sign; without one the connection is lost, though
   * nobody closed it.
   */
  #listen(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#wasAsked && !this.#wasHeard) return this.#lose("the server says nothing any more");
      this.#wasAsked = !this.#wasHeard;
      this.#wasHeard = false;
      if (this.#wasAsked) this.send({ type: "ping" });
      this.#listen();
    }, this.#context.pingMs);
  }

  #closed(code: number, reason: string): void {
    if (this.#hasEnded) return;
    if (!this.#wasOpen) return void this.#explain();
    const error = this.#said ?? errorOfClose(code, reason);
    this.#end({ code, reason, error, isFinal: !passingCodes.has(code) });
  }

  /** The WebSocket did not open. */
  async #explain(): Promise<void> {
    let error: ActorError | null = null;
    try {
      error = await whyRefused(this.#context, this.#url, this.#abort.signal);
    } catch {
      // Nobody answers at all.
    }
    this.#end({
      code: 1006,
      reason: "",
      error: error ?? clientError("network", `no connection to ${this.#url}`, { retryable: true }),
      isFinal: error !== null,
    });
  }

  #lose(reason: string): void {
    this.#giveUp({
      code: 1006,
      reason,
      error: clientError("network", reason, { retryable: true }),
      isFinal: false,
    });
  }
  #giveUp(end: End): void {
    if (this.#hasEnded) return;
    this.close();
    this.#events.ended(end);
  }
  #end(end: End): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#events.ended(end);
  }
}

function errorOfClose(code: number, reason: string): ActorError {
  const [, group, name, message] = /^(\w+)\.(\w+): (.*)$/s.exec(reason) ?? [];
  if (code === 4000 && group && name) return new ActorError(group, name, message ?? reason);
  if (code === 4001)
    return new ActorError("actor", "disconnected", reason || "the actor ended the connection");
  if (passingCodes.has(code))
    return clientError("network", reason || `the connection was lost (${code})`, {
      retryable: true,
    });
  return clientError("closed", reason || `the server closed the connection (${code})`, {
    metadata: { closeCode: code },
  });
}

/**
 * What getToken() and getParams() throw is taken for passing, unless it is a refusal of a server.
 */
function isFinal(error: ActorError): boolean {
  return error.code === "no_websocket" || (error.group !== "client" && !error.retryable);
}

export async function findWebSocket(context: Context): Promise<typeof WebSocket> {
  const found = context.webSocket ?? (globalThis as { WebSocket?: typeof WebSocket }).WebSocket;
  if (found) return found as typeof WebSocket;
  // A name that bundlers do not follow: a browser has a WebSocket of its own.
  const name = "ws";
  try {
    const { WebSocket } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      WebSocket: typeof globalThis.WebSocket;
    };
    return WebSocket;
  } catch (cause) {
    throw clientError(
      "no_websocket",
      "this runtime has no WebSocket: use Node.js 22, install the package 'ws', or pass createClient() a `WebSocket`",
      { cause },
    );
  }
}
