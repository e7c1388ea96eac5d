// PendingCalls: calls of a connection that have no reply yet. Those that wait for a connection keep
// their order; those that were sent are known by the id that their reply will have.

import { onAbort } from "./backoff.ts";
import { clientError } from "./error.ts";
import type { CallOptions } from "./http.ts";

export interface Call extends CallOptions {
  readonly name: string;
  readonly args: readonly unknown[];
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

export interface PendingCall extends Call {
  readonly id: number;
  /** How often it was answered with a failure after which it may be made again. */
  tries: number;
  /** Once; later ones are passed over. */
  settle(outcome: Outcome): void;
  /** Of the time that it may wait, or rests before it is made again. */
  timer?: ReturnType<typeof setTimeout>;
}

/** A server reads no further messages while so many calls of a connection are under way. */
const sentMax = 100;

export class PendingCalls {
  readonly #timeoutMs: number;
  readonly #all = new Set<PendingCall>();
  readonly #sent = new Map<unknown, PendingCall>();
  #waiting: PendingCall[] = [];
  #nextId = 0;

  /** `timeoutMs`: how long a call waits to be sent. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** How many there are that are not sent. */
  get waitingCount(): number {
    return this.#all.size - this.#sent.size;
  }

  /** A call that waits. */
  add(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const stop = onAbort(call.signal, (error) => pending.settle({ error }));
      const pending: PendingCall = {
        ...call,
        id: this.#nextId++,
        tries: 0,
        settle: (outcome) => {
          if (!this.#all.delete(pending)) return;
          stop();
          clearTimeout(pending.timer);
          if (!this.#sent.delete(pending.id))
            this.#waiting = this.#waiting.filter((each) => each !== pending);
          if ("value" in outcome) resolve(outcome.value);
          else reject(outcome.error);
        },
      };
      this.#all.add(pending);
      this.#waiting.push(pending);
      this.#limitWait(pending);
    });
  }

  /** The next one that is to be sent; from now on it counts as sent. */
  next(): PendingCall | undefined {
    if (this.#sent.size >= sentMax) return undefined;
    const call = this.#waiting.shift();
    if (!call) return undefined;
    clearTimeout(call.timer);
    this.#sent.set(call.id, call);
    return call;
  }
  sent(id: unknown): PendingCall | undefined {
    return this.#sent.get(id);
  }
  /**
   * One that was sent, and has certainly not happened, waits again after `ms`, behind all others;
   * then calls `ready`.
   */
  rest(call: PendingCall, ms: number, ready: () => void): void {
    this.#sent.delete(call.id);
    call.timer = setTimeout(() => {
      this.#waiting.push(call);
      this.#limitWait(call);
      ready();
    }, ms);
  }

  /**
   * The connection is gone: what may happen twice waits again, before all others; the rest fails.
   */
  lost(): void {
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    const again = sent.filter((each) => each.idempotent);
    this.#waiting.unshift(...again);
    for (const each of again) this.#limitWait(each);
    for (const each of sent) {
      if (each.idempotent) continue;
      const message = `the connection was lost while '${each.name}' was under way: it may have happened, or not`;
      each.settle({ error: clientError("connection_lost", message) });
    }
  }
  failAll(error: unknown): void {
    for (const each of [...this.#all]) each.settle({ error });
  }

  #limitWait(call: PendingCall): void {
    call.timer = setTimeout(() => {
      const message = `no connection within ${this.#timeoutMs} ms: '${call.name}' was not called`;
      call.settle({ error: clientError("offline", message, { retryable: true }) });
    }, this.#timeoutMs);
  }
}
