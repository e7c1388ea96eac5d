// Connection: stays connected to one actor. Makes a Link, and another one when it is lost; keeps
// subscriptions, the place in the stream of events, and the calls that wait meanwhile.
//
//   idle → connecting → connected → disconnected → connecting → …
//
// `disconnected` without a try under way is the end: the server does not want this client, and
// `error` says why.

import { actorUrl, type Address, type Existence } from "./address.ts";
import { delayMs } from "./backoff.ts";
import { ActorError, clientError, errorFrom } from "./error.ts";
import type { CallOptions, Context } from "./http.ts";
import { type End, Link, type Message } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { type Call, type PendingCall, PendingCalls } from "./pending_calls.ts";

/**
 * `idle`: not begun, or given up by `dispose()`. `connecting`: a try is under way. `connected`.
 * `disconnected`: lost, and tried again soon; or, when `error` says so, refused for good.
 */
export type ConnectionStatus = "idle" | "connecting" | "connected" | "disconnected";

/** How a connection ended. */
export interface CloseInfo {
  /** Of the WebSocket; 1006 when it was lost without one. */
  readonly code: number;
  readonly reason: string;
  readonly error: ActorError;
  /** Whether the client connects again by itself. */
  readonly willReconnect: boolean;
}

/** What a connection is made with. */
export interface ConnectionSettings {
  readonly address: Address;
  readonly existence: Existence;
  /** Undefined: none. */
  readonly input: unknown;
  readonly params: () => unknown; // or a promise of them
  /** It was disposed of. */
  readonly onDispose: () => void;
}

/** A connection that lasted so long was a good one: the next try comes soon. */
const goodMs = 5_000;

export class Connection {
  readonly #context: Context;
  readonly #settings: ConnectionSettings;
  readonly #calls: PendingCalls;
  readonly #events = new Map<string, Listeners<[unknown]>>();
  readonly #opens = new Listeners<[]>();
  readonly #closes = new Listeners<[CloseInfo]>();
  readonly #errors = new Listeners<[ActorError]>();
  readonly #statuses = new Listeners<[ConnectionStatus]>();
  readonly #misses = new Listeners<[]>();
  #status: ConnectionStatus = "idle";
  #error: ActorError | null = null;
  #isDisposed = false;
  #isRefused = false;

  #link: Link | null = null;
  /** What the server was told to send. Null before `connect` was sent. */
  #subscribed: Set<string> | null = null;
  /** Where the newest event stands in its stream, and the connection that saw it. */
  #seen: { stream: unknown; seq: unknown; connection: unknown } | null = null;
  #tries = 0;
  #connectedAt = 0;
  #hasRenewedToken = false;
  #cancelRetry: () => void = () => {};

  constructor(context: Context, settings: ConnectionSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#calls = new PendingCalls(context.offline.timeoutMs);
  }

  get name(): string {
    return this.#settings.address.name;
  }
  get key(): readonly string[] {
    return this.#settings.address.key;
  }
  get status(): ConnectionStatus {
    return this.#status;
  }
  get error(): ActorError | null {
    return this.#error;
  }

  connect(): void {
    if (this.#isDisposed || this.#link) return;
    this.#cancelRetry();
    this.#isRefused = false;
    this.#tries = 0;
    this.#begin();
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#cancelRetry();
    this.#link?.close();
    this.#link = null;
    this.#calls.failAll(clientError("disposed", "the connection was disposed of"));
    this.#setStatus("idle");
    for (const each of [this.#opens, this.#closes, this.#errors, this.#statuses, this.#misses])
      each.clear();
    this.#events.clear();
    this.#settings.onDispose();
  }

  action(
    options: { readonly name: string; readonly args?: readonly unknown[] } & CallOptions,
  ): Promise<unknown> {
    return this.#call({ ...options, args: options.args ?? [] });
  }

  on(event: string, listener: (value: unknown) => unknown): () => void {
    let listeners = this.#events.get(event);
    if (!listeners) this.#events.set(event, (listeners = new Listeners()));
    const remove = listeners.add(listener);
    this.#subscribe();
    return () => {
      remove();
      if (listeners.size === 0 && this.#events.get(event) === listeners) {
        this.#events.delete(event);
        // A listener that is replaced by another, as React does it, must not miss what comes in
        // between.
        queueMicrotask(() => this.#subscribe());
      }
    };
  }
  once(event: string, listener: (value: unknown) => unknown): () => void {
    const remove = this.on(event, (value) => {
      remove();
      return listener(value);
    });
    return remove;
  }
  onOpen(listener: () => unknown): () => void {
    return this.#opens.add(listener);
  }
  onClose(listener: (info: CloseInfo) => unknown): () => void {
    return this.#closes.add(listener);
  }
  onError(listener: (error: ActorError) => unknown): () => void {
    return this.#errors.add(listener);
  }
  onStatusChange(listener: (status: ConnectionStatus) => unknown): () => void {
    return this.#statuses.add(listener);
  }
  onMissed(listener: () => unknown): () => void {
    return this.#misses.add(listener);
  }

  // ---- Coming and going

  #begin(): void {
    this.#subscribed = null;
    this.#link = new Link(
      this.#context,
      actorUrl(this.#context.base, this.#settings.address, "/connect"),
      () => this.#hello(),
      {
        open: () => this.#subscribe(),
        message: (message) => this.#take(message),
        ended: (end) => this.#ended(end),
      },
    );
    this.#setStatus("connecting");
  }

  /** The fields of the `connect` message. */
  async #hello(): Promise<object> {
    const { existence, input, params } = this.#settings;
    const [token, given] = await Promise.all([this.#context.token(), params()]);
    this.#subscribed = new Set(this.#events.keys());
    return {
      token,
      params: given,
      existence,
      input,
      subscribe: [...this.#subscribed],
      // Who hears nothing misses nothing.
      resume: this.#seen && this.#subscribed.size > 0 ? this.#seen : undefined,
    };
  }

  #ended(end: End): void {
    this.#link = null;
    if (this.#status === "connected" && Date.now() - this.#connectedAt >= goodMs) this.#tries = 0;
    const willReconnect = !end.isFinal || this.#mayRenewToken(end.error);
    this.#error = end.error;
    this.#calls.lost();
    if (willReconnect) {
      this.#retryLater();
    } else {
      this.#isRefused = true;
      this.#calls.failAll(end.error);
    }
    this.#setStatus("disconnected");
    this.#errors.emit(end.error);
    this.#closes.emit({ code: end.code, reason: end.reason, error: end.error, willReconnect });
  }

  /** A token that ran out on the way is asked for anew, once. */
  #mayRenewToken(error: ActorError): boolean {
    if (!this.#context.mayRenewToken || this.#hasRenewedToken || error.code !== "token_expired")
      return false;
    this.#hasRenewedToken = true;
    return true;
  }

  #retryLater(): void {
    const target = globalThis as {
      addEventListener?: typeof addEventListener;
      removeEventListener?: typeof removeEventListener;
    };
    const retry = (): void => {
      this.#cancelRetry();
      this.#begin();
    };
    const timer = setTimeout(retry, delayMs(this.#context.backoff, this.#tries++));
    // A browser knows when there is a network again.
    target.addEventListener?.("online", retry);
    this.#cancelRetry = () => {
      clearTimeout(timer);
      target.removeEventListener?.("online", retry);
    };
  }

  #setStatus(status: ConnectionStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#statuses.emit(status);
  }

  // ---- What the server says

  #take(message: Message): void {
    switch (message.type) {
      case "connected":
        return this.#connected(message);
      case "reply":
        this.#calls.sent(message["id"])?.settle({ value: message["result"] });
        return this.#flush();
      case "error":
        return this.#failed(message);
      case "event":
        this.#moveTo(message);
        return this.#events.get(message["name"] as string)?.emit(message["value"]);
      case "missed":
        this.#moveTo(message);
        return this.#misses.emit();
    }
  }

  #connected(message: Message): void {
    this.#seen = {
      stream: message["stream"],
      seq: message["seq"],
      connection: message["connection"],
    };
    this.#error = null;
    this.#hasRenewedToken = false;
    this.#connectedAt = Date.now();
    this.#setStatus("connected");
    this.#opens.emit();
    this.#flush();
  }
  #moveTo({ stream, seq }: Message): void {
    if (this.#seen && stream !== undefined) this.#seen = { ...this.#seen, stream, seq };
  }
  #failed(message: Message): void {
    const error =
      errorFrom(message["error"], message["retry"] === true) ??
      clientError("bad_response", "an error without a code");
    if (message["id"] !== undefined) {
      const call = this.#calls.sent(message["id"]);
      if (call) this.#failCall(call, error);
      return this.#flush();
    }
    // Of a subscription, or the reason of the close that follows and will tell of it.
    const isOfSubscription = error.code === "unknown_event" || error.code === "forbidden";
    if (this.#status === "connected" && isOfSubscription) this.#errors.emit(error);
  }

  // ---- What the client says

  /** Tells the server what has changed of that which is listened to. */
  #subscribe(): void {
    if (!this.#link?.isOpen || !this.#subscribed) return;
    const had = this.#subscribed;
    const has = new Set(this.#events.keys());
    const added = [...has].filter((each) => !had.has(each));
    const removed = [...had].filter((each) => !has.has(each));
    this.#subscribed = has;
    if (added.length > 0) this.#link.send({ type: "subscribe", events: added });
    if (removed.length > 0) this.#link.send({ type: "unsubscribe", events: removed });
  }

  #refusal(): ActorError | null {
    if (this.#isDisposed) return clientError("disposed", "the connection was disposed of");
    if (this.#isRefused) return this.#error;
    if (this.#status === "connected") return null;
    return this.#context.offline.policy === "fail"
      ? clientError("offline", "not connected; the call was not made", { retryable: true })
      : null;
  }
  async #call(call: Call): Promise<unknown> {
    call.signal?.throwIfAborted();
    const refusal = this.#refusal();
    if (refusal) throw refusal;
    const { callsMax } = this.#context.offline;
    if (this.#calls.waitingCount >= callsMax) {
      throw clientError("queue_full", `${callsMax} calls wait already; this one was not made`, {
        retryable: true,
      });
    }
    const reply = this.#calls.add(call);
    this.#flush();
    return reply;
  }
  #flush(): void {
    while (this.#status === "connected" && this.#link?.isOpen) {
      const call = this.#calls.next();
      if (!call) return;
      try {
        this.#link.send({ type: "call", id: call.id, action: call.name, args: call.args });
      } catch (error) {
        call.settle({ error });
      }
    }
  }
  #failCall(call: PendingCall, error: ActorError): void {
    if (!error.retryable || call.tries >= (call.retries ?? this.#context.retries))
      return call.settle({ error });
    this.#calls.rest(call, delayMs(this.#context.backoff, call.tries++), () => this.#flush());
  }
}
