import { clientError } from "./error.ts";

/** How long is waited before a new try. */
export interface Backoff {
  /** Before the first; doubles with each. 250 */
  readonly minMs?: number;
  /** 30,000 */
  readonly maxMs?: number;
}

/**
 * `tries` have failed. Half of it is random, so that clients of a server that restarts do not come
 * all at once.
 */
export function delayMs({ minMs = 250, maxMs = 30_000 }: Backoff, tries: number): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(tries, 30)) * (0.5 + Math.random() / 2);
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, (reason) => {
      clearTimeout(timer);
      reject(reason);
    });
    const timer = setTimeout(() => {
      stop();
      resolve();
    }, ms);
  });
}

/**
 * Calls `abort` when the signal is aborted; at once if it is already. Gives what takes that back.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  abort: (reason: unknown) => void,
): () => void {
  if (!signal) return () => {};
  const listener = (): void =>
    abort(signal.reason ?? clientError("aborted", "the signal was aborted"));
  if (signal.aborted) {
    // When the caller is ready for it.
    queueMicrotask(listener);
    return () => {};
  }
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}
