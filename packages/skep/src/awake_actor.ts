import { ConnectionMemories } from "./connections.ts";
import type { RuntimeConfig } from "./definition.ts";
import type { Log, Logger } from "./log.ts";
import type { Operations } from "./operations.ts";
import { TrackedValue } from "./tracked_value.ts";

/** What all actors of a type have in common. */
export interface RuntimeType {
  readonly name: string;
  readonly config: RuntimeConfig;
}

/** An actor's memory, from its waking up until it falls asleep. */
export class AwakeActor {
  readonly name: string;
  readonly config: RuntimeConfig;
  readonly key: readonly string[];
  /** As the core writes it in its log. */
  readonly actorId: string;
  readonly log: Logger;
  readonly connections: ConnectionMemories;
  vars: unknown;
  #state: TrackedValue | undefined;
  /** Taken, and not handed over yet. */
  #taken: Uint8Array | undefined;
  #isTaken = false;
  #stateError: unknown;
  /** How many have not been followed by the addon's restoreState(). */
  #undoCount = 0;
  #isTakenSinceUndo = false;

  constructor(type: RuntimeType, key: readonly string[], log: Log) {
    this.name = type.name;
    this.config = type.config;
    this.key = Object.freeze([...key]);
    this.actorId = `${type.name}${JSON.stringify(key)}`;
    this.log = log.with({ actor: this.actorId });
    this.connections = new ConnectionMemories(type.config.schemas?.params);
  }

  get hasState(): boolean {
    return this.config.state !== undefined || this.config.createState !== undefined;
  }
  get state(): TrackedValue {
    if (this.#state) return this.#state;
    throw new Error(
      this.hasState
        ? `the state of '${this.name}' has not been made yet`
        : `'${this.name}' has no state: give it state or createState`,
    );
  }
  setState(state: TrackedValue): void {
    this.#state = state;
  }

  /**
   * Before a run ends: throws what is wrong with the state, as long as that can fail the run.
   * `isLast`: the actor falls asleep then.
   */
  prepare(isLast: boolean): void {
    this.connections.flush();
    const error = this.#stateError;
    this.#stateError = undefined;
    if (error) throw error;
    this.#taken = this.#state?.take(isLast) ?? this.#taken;
    this.#isTaken = true;
  }
  /** It ends now. */
  release(run: Operations): void {
    this.#state?.release(run);
    this.connections.release(run);
  }
  /** Behind the end of a run, which may have been given up before. */
  settled(): void {
    this.#isTaken = false;
  }
  /** At the end of a turn: the state's bytes if they are others than last time. Does not throw. */
  takeState(): Uint8Array | undefined {
    if (!this.#isTaken) {
      try {
        this.connections.flush();
        this.#taken = this.#state?.take() ?? this.#taken;
      } catch (error) {
        // In the midst of a run, which fails when it ends.
        this.#stateError = error;
      }
    }
    this.#isTaken = false;
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken) this.#isTakenSinceUndo = true;
    return taken;
  }
  /**
   * A run fails. The addon will put back what was saved, but only when the code that runs now is
   * over: what else that wakes must not save what this run has left.
   */
  undo(): void {
    ++this.#undoCount;
    this.#isTakenSinceUndo = false;
    this.#state?.undo();
    this.connections.forget();
  }
  restoreState(bytes: Uint8Array | undefined): void {
    this.connections.forget();
    // What has been saved since then is newer than what is to be put back here.
    if (this.#undoCount > 0) {
      --this.#undoCount;
      if (this.#isTakenSinceUndo) return;
    }
    this.#taken = undefined;
    this.#isTaken = false;
    this.#stateError = undefined;
    this.#state?.restore(bytes);
  }

  readonly checkEvent = (event: string): void => {
    if (!Object.hasOwn(this.config.events ?? {}, event)) {
      throw new Error(`'${this.name}' declares no event '${event}'`);
    }
  };
}
