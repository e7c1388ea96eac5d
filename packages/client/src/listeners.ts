/**
 * Functions that want to hear of something. What one of them throws reaches the runtime, not the
 * others.
 */
export class Listeners<Args extends unknown[]> {
  readonly #all = new Set<{ readonly listener: (...args: Args) => unknown }>();

  get size(): number {
    return this.#all.size;
  }
  /** Gives what takes the listener away again. One that is added twice is called twice. */
  add(listener: (...args: Args) => unknown): () => void {
    const entry = { listener };
    this.#all.add(entry);
    return () => this.#all.delete(entry);
  }
  emit(...args: Args): void {
    for (const entry of [...this.#all]) {
      // One of those before it may have taken it away.
      if (!this.#all.has(entry)) continue;
      try {
        entry.listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
  clear(): void {
    this.#all.clear();
  }
}
