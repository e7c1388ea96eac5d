import { ActorError } from "@skep/client";

import { decode, encode } from "./cbor.ts";
import { fromNative } from "./errors.ts";
import { Command, type Native, type NativeConnection } from "./native.ts";
import { fromPayload } from "./payload.ts";
import { type Statements, statementsOf } from "./statements.ts";

/** Which run an error belongs to, should nobody handle it. */
const owners = new WeakMap<object, Operations>();

/**
 * What a run asks of the addon. Of use until the run has ended; then the addon refuses all of it.
 */
export class Operations {
  readonly native: Native;
  readonly run: number;
  readonly #actor: { readonly actorId: string };
  #statements: Statements | undefined;
  /** Why the run shall fail when it ends, although its code has not. */
  failure: unknown;
  isOver = false;
  /** Told of it at once, should the run not end soon. */
  onFailure: ((error: unknown) => void) | undefined;

  /** `actor`: whose. */
  constructor(native: Native, run: number, actor: { readonly actorId: string }) {
    this.native = native;
    this.run = run;
    this.#actor = actor;
  }

  get actorId(): string {
    return this.#actor.actorId;
  }
  get statements(): Statements {
    return (this.#statements ??= statementsOf(this.native));
  }

  /** Throws when the run is over: what it would change then belongs to no turn. */
  check(): void {
    if (this.isOver) {
      throw new ActorError(
        "actor",
        "stopped",
        "this call of the actor is over: its state is not to be used any more",
      );
    }
  }

  /** What the addon threw, as an error of this actor. */
  error(thrown: unknown): Error {
    const error = fromNative(thrown, true);
    owners.set(error, this);
    return error;
  }

  connections(): NativeConnection[] {
    try {
      return this.native.connections(this.run);
    } catch (thrown) {
      throw this.error(thrown);
    }
  }

  claims(): unknown {
    try {
      const claims = this.native.claims(this.run);
      return claims === undefined ? undefined : fromPayload(claims, "claims");
    } catch (thrown) {
      throw this.error(thrown);
    }
  }

  /** `args` and what is given are values of CBOR. */
  command(command: Command, args: readonly unknown[]): Promise<unknown> {
    try {
      const result = this.native.command(this.run, command, encode(args, "sent"));
      if (!(result instanceof Promise)) return Promise.resolve(decode(result));
      return result.then(decode, (thrown) => {
        throw this.#errorOf(command, thrown);
      });
    } catch (thrown) {
      return Promise.reject(this.#errorOf(command, thrown));
    }
  }

  /** For those who do not wait: an error throws at once, or fails the run. */
  tell(command: Command, args: readonly unknown[]): void {
    try {
      const result = this.native.command(this.run, command, encode(args, "sent"));
      if (result instanceof Promise) result.catch((thrown) => this.failLater(this.error(thrown)));
    } catch (thrown) {
      throw this.error(thrown);
    }
  }

  failLater(error: unknown): void {
    this.failure ??= error;
    this.onFailure?.(error);
  }

  #errorOf(command: Command, thrown: unknown): Error {
    const isAboutAnother =
      command === Command.Call || command === Command.Send || command === Command.Resolve;
    return isAboutAnother ? fromNative(thrown, false) : this.error(thrown);
  }
}

/** Nobody handled `reason`: the run that it comes from fails, and is given if it goes on. */
export function blame(reason: unknown): Operations | undefined {
  const owner = typeof reason === "object" && reason !== null ? owners.get(reason) : undefined;
  if (!owner || owner.isOver) return undefined;
  owner.failLater(reason);
  return owner;
}
