// Raw WebSockets: an actor's own code talks with a client, in messages of its own.

import type { BaseContext } from "./context.ts";
import { Command } from "./native.ts";
import type { Operations } from "./operations.ts";

/** What a message carries: text, or bytes. */
export type WebSocketData = string | ArrayBufferLike | ArrayBufferView;

/** A message of the client: a string, or bytes as `binaryType` says. */
export interface WebSocketMessageEvent {
  readonly type: "message";
  readonly data: string | ArrayBuffer | Blob;
  readonly target: ActorWebSocket;
}

/** It is over. */
export interface WebSocketCloseEvent {
  readonly type: "close";
  /** Of whoever closed. 1005: the client gave none. 1006: it was gone without a close, or is given up. */
  readonly code: number;
  readonly reason: string;
  /** Whether one of the two closed it. */
  readonly wasClean: boolean;
  readonly target: ActorWebSocket;
}

/** Its events by name. */
export interface WebSocketEvents {
  readonly message: WebSocketMessageEvent;
  readonly close: WebSocketCloseEvent;
}

/**
 * Handles an event. What it throws, or is rejected with, fails the WebSocket: nothing of its turn stays, and the client
 * gets 1011.
 */
export type WebSocketListener<Event> = (event: Event) => unknown;

/** What can be said to a client. Leaves when the turn is durable, in this order, or not at all. */
export interface WebSocketSender {
  /** Does not wait. Nobody gets what is sent to a WebSocket that is closed. */
  send(data: WebSocketData): void;
  /** `code`: 1000, or one of your own from 3000 to 4999. `reason`: at most 123 bytes. */
  close(code?: number, reason?: string): void;
}

/** One client of `onWebSocket`: as a WebSocket of the browser, seen from the actor. */
export interface ActorWebSocket extends WebSocketSender {
  /** 0: the client is not let in yet; 1: open; 2: the actor has closed it; 3: over. */
  readonly readyState: number;
  /** The subprotocols that the client offers, the one that it likes best first. */
  readonly protocols: readonly string[];
  /** The one of them that was chosen, or "". */
  readonly protocol: string;
  /**
   * Lets the client in, with one of its subprotocols; the first, if none is named. Also done by the first `send()`, `close()` or listener of
   * messages, and when `onWebSocket` has returned: until then what it throws refuses the client.
   */
  accept(protocol?: string): void;
  /** How bytes come: "arraybuffer", or "blob". */
  binaryType: "arraybuffer" | "blob";
  /** About how many bytes the client has not taken yet. */
  readonly bufferedAmount: number;
  /** Waits, and with that ends the turn, until the client has taken most of what it was sent. */
  drain(): Promise<void>;
  /** The same WebSocket for the turn of another call of the actor, an action say: both commit together. */
  with(c: BaseContext): WebSocketSender;
  onmessage: WebSocketListener<WebSocketMessageEvent> | null;
  onclose: WebSocketListener<WebSocketCloseEvent> | null;
  addEventListener<Name extends keyof WebSocketEvents>(
    type: Name,
    listener: WebSocketListener<WebSocketEvents[Name]>,
    options?: { readonly once?: boolean },
  ): void;
  removeEventListener<Name extends keyof WebSocketEvents>(
    type: Name,
    listener: WebSocketListener<WebSocketEvents[Name]>,
  ): void;
}

/** So many messages may be handled at once; more wait at the client. */
const handledMax = 64;
const reasonBytesMax = 123;

type State = 0 | 1 | 2 | 3;
type Listener = WebSocketListener<never>;

/** From its run's dispatch until its run is settled. */
export class RunWebSocket implements ActorWebSocket {
  readonly protocols: readonly string[];
  protocol = "";
  binaryType: "arraybuffer" | "blob" = "arraybuffer";
  onclose: WebSocketListener<WebSocketCloseEvent> | null = null;
  readonly #operations: Operations;
  readonly #operationsOf: (c: BaseContext) => Operations;
  readonly #handledMax: number;
  readonly #listeners = { message: new Map<Listener, boolean>(), close: new Map<Listener, boolean>() };
  #onmessage: WebSocketListener<WebSocketMessageEvent> | null = null;
  #state: State = 0;
  /** Listeners that are not settled. */
  #handledCount = 0;
  #hasReturned = false;
  #isAborted = false;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  readonly #ended = new Promise<void>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  constructor(
    operations: Operations,
    protocols: readonly string[],
    isOneAtATime: boolean,
    operationsOf: (c: BaseContext) => Operations,
  ) {
    this.#operations = operations;
    this.protocols = protocols;
    this.#handledMax = isOneAtATime ? 1 : handledMax;
    this.#operationsOf = operationsOf;
    operations.onFailure = (error) => this.#fail(error);
  }

  // ---- For the runtime

  /** Runs the actor's code; rejected with what that throws, and resolved when all of it is over. */
  async serve(begin: () => unknown): Promise<void> {
    const returned = begin();
    if (returned instanceof Promise) returned.then(() => this.#returned(), this.#fail);
    else this.#returned();
    await this.#ended;
  }
  #returned(): void {
    try {
      if (this.#state === 0) this.accept();
    } catch (error) {
      return this.#fail(error);
    }
    this.#hasReturned = true;
    this.#endWhenDone();
  }

  message(data: string | Uint8Array): void {
    if (this.#state === 3) return;
    this.#dispatch("message", { type: "message", data: this.#dataOf(data), target: this });
  }
  #dataOf(data: string | Uint8Array): string | ArrayBuffer | Blob {
    if (typeof data === "string") return data;
    const { buffer } = data as Uint8Array<ArrayBuffer>; // of its own, and no larger
    return this.binaryType === "blob" ? new Blob([buffer]) : buffer;
  }
  closed(code: number, reason: string): void {
    if (this.#state === 3) return;
    this.#state = 3;
    this.#dispatch("close", { type: "close", code, reason, wasClean: code !== 1006, target: this });
    this.#endWhenDone();
  }
  /** The run shall end: what the code still does belongs to no turn. */
  abort(): void {
    this.#isAborted = true;
    this.closed(1001, "the actor is on its way out");
    this.#resolve();
  }

  #dispatch<Name extends keyof WebSocketEvents>(name: Name, event: WebSocketEvents[Name]): void {
    const own = name === "message" ? this.#onmessage : this.onclose;
    if (own) this.#call(own as WebSocketListener<WebSocketEvents[Name]>, event);
    for (const [listener, once] of [...this.#listeners[name]]) {
      if (once) this.#listeners[name].delete(listener);
      this.#call(listener as WebSocketListener<WebSocketEvents[Name]>, event);
    }
  }
  #call<Event>(listener: WebSocketListener<Event>, event: Event): void {
    let result: unknown;
    try {
      result = listener.call(this, event);
    } catch (error) {
      return this.#fail(error);
    }
    if (!(result instanceof Promise)) return;
    this.#note(+1);
    result.then(() => this.#note(-1), this.#fail);
  }
  #note(change: number): void {
    const { native, run } = this.#operations;
    const wasBusy = this.#handledCount >= this.#handledMax;
    this.#handledCount += change;
    const isBusy = this.#handledCount >= this.#handledMax;
    if (isBusy !== wasBusy) native.socketBusy(run, isBusy);
    this.#endWhenDone();
  }
  #endWhenDone(): void {
    if (this.#state === 3 && this.#hasReturned && this.#handledCount === 0) this.#resolve();
  }
  readonly #fail = (error: unknown): void => {
    this.#state = 3;
    if (this.#isAborted) this.#resolve();
    else this.#reject(error);
  };

  // ---- For the actor's code

  get readyState(): number {
    return this.#state;
  }
  get onmessage(): WebSocketListener<WebSocketMessageEvent> | null {
    return this.#onmessage;
  }
  set onmessage(listener: WebSocketListener<WebSocketMessageEvent> | null) {
    this.#onmessage = listener;
    if (listener && this.#state === 0) this.accept();
  }
  addEventListener<Name extends keyof WebSocketEvents>(
    type: Name,
    listener: WebSocketListener<WebSocketEvents[Name]>,
    { once = false }: { readonly once?: boolean } = {},
  ): void {
    if (type !== "message" && type !== "close") {
      throw new TypeError(`a WebSocket of an actor has the events "message" and "close"`);
    }
    if (typeof listener !== "function") throw new TypeError("a listener is a function");
    if (!this.#listeners[type].has(listener)) this.#listeners[type].set(listener, once);
    if (type === "message" && this.#state === 0) this.accept();
  }
  removeEventListener<Name extends keyof WebSocketEvents>(
    type: Name,
    listener: WebSocketListener<WebSocketEvents[Name]>,
  ): void {
    this.#listeners[type]?.delete(listener);
  }

  accept(protocol: string = this.protocols[0] ?? ""): void {
    if (this.#state !== 0) throw new Error("the WebSocket has been accepted already");
    if (protocol !== "" && !this.protocols.includes(protocol)) {
      throw new RangeError(`the client does not offer the subprotocol '${protocol}'`);
    }
    this.#operations.tell(Command.SocketAccept, [this.#operations.run, protocol]);
    this.protocol = protocol;
    this.#state = 1;
  }
  send(data: WebSocketData): void {
    this.#send(this.#operations, data);
  }
  close(code?: number, reason?: string): void {
    this.#close(this.#operations, code, reason);
  }
  #send(operations: Operations, data: WebSocketData): void {
    const bytes = bytesOf(data);
    if (this.#state === 0) this.accept();
    if (this.#state !== 1) return;
    const isText = typeof data === "string";
    operations.tell(Command.SocketSend, [this.#operations.run, isText, bytes]);
  }
  #close(operations: Operations, code = 1000, reason = ""): void {
    if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw new RangeError(`a WebSocket is closed with 1000 or 3000 to 4999, not with ${code}`);
    }
    if (Buffer.byteLength(reason) > reasonBytesMax) {
      throw new RangeError(`the reason of a close has at most ${reasonBytesMax} bytes`);
    }
    if (this.#state === 0) this.accept();
    if (this.#state !== 1) return;
    operations.tell(Command.SocketClose, [this.#operations.run, code, reason]);
    this.#state = 2;
  }
  with(c: BaseContext): WebSocketSender {
    const operations = this.#operationsOf(c);
    if (operations.actorId !== this.#operations.actorId) {
      throw new TypeError(`the WebSocket is one of ${this.#operations.actorId}, not of ${c.actorId}`);
    }
    return {
      send: (data) => this.#send(operations, data),
      close: (code, reason) => this.#close(operations, code, reason),
    };
  }

  get bufferedAmount(): number {
    const { native, run } = this.#operations;
    return this.#state === 3 ? 0 : native.socketBuffered(run);
  }
  async drain(): Promise<void> {
    if (this.#state !== 1) return;
    await this.#operations.command(Command.SocketDrain, [this.#operations.run]);
  }
}

function bytesOf(data: WebSocketData): Uint8Array {
  if (typeof data === "string") return Buffer.from(data, "utf8");
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  throw new TypeError("a WebSocket sends a string, an ArrayBuffer or a view of one");
}
