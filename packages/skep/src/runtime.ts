// Runtime: what the addon calls. Starts an actor's code for each run, and tells the addon how it
// ended.

import { AwakeActor, type RuntimeType } from "./awake_actor.ts";
import { decode, encode } from "./cbor.ts";
import { InvalidArguments, isTold, masked, toNative } from "./errors.ts";
import type { Log } from "./log.ts";
import {
  type Encoding,
  Kind,
  type Native,
  type NativeCallbacks,
  type NativeConnection,
  type NativeFailure,
  type Payload,
} from "./native.ts";
import { fromPayload, toPayload } from "./payload.ts";
import { requestOf, respond } from "./raw_request.ts";
import { RunWebSocket } from "./raw_socket.ts";
import { RunContext } from "./run_context.ts";
import { TrackedValue } from "./tracked_value.ts";
import { validate } from "./validate.ts";

/** A run, from its dispatch until it is settled. */
interface Run {
  readonly id: number;
  readonly kind: Kind;
  readonly actor: AwakeActor;
  readonly c: RunContext;
  /** Of an action or a message. */
  readonly name: string;
  readonly replyEncoding: Encoding;
  socket?: RunWebSocket;
}

const names: Readonly<Record<Kind, string>> = {
  [Kind.Create]: "onCreate",
  [Kind.Load]: "the state's loading",
  [Kind.Wake]: "onWake",
  [Kind.Action]: "the action",
  [Kind.Message]: "the handler of the queue",
  [Kind.Run]: "run",
  [Kind.Admit]: "onBeforeConnect",
  [Kind.Connected]: "onConnect",
  [Kind.Disconnected]: "onDisconnect",
  [Kind.Sleep]: "onSleep",
  [Kind.Destroy]: "onDestroy",
  [Kind.Pass]: "onBeforeConnect",
  [Kind.Request]: "onRequest",
  [Kind.Talk]: "onWebSocket",
  [Kind.Subscribe]: "canSubscribe of the event",
  [Kind.Publish]: "canPublish of the queue",
};

export class Runtime implements NativeCallbacks {
  readonly #native: Native;
  readonly #types: readonly RuntimeType[];
  readonly #log: Log;
  readonly #actors = new Map<number, AwakeActor>();
  readonly #runs = new Map<number, Run>();
  /** State that new actors begin with, encoded: each gets a copy. */
  readonly #initialStates = new Map<RuntimeType, Uint8Array>();

  constructor(native: Native, types: readonly RuntimeType[], log: Log) {
    this.#native = native;
    this.#types = types;
    this.#log = log;
    for (const type of types) {
      const { state } = type.config;
      checkCopies(type);
      if (state !== undefined) this.#initialStates.set(type, encode(state, "stored"));
    }
  }

  readonly dispatch: NativeCallbacks["dispatch"] = (
    kind,
    id,
    actorId,
    typeIndex,
    key,
    name,
    payload,
    replyEncoding,
    connection,
    headers,
  ) => {
    let actor = this.#actors.get(actorId);
    if (!actor) {
      actor = new AwakeActor(this.#types[typeIndex]!, key ?? [], this.#log);
      this.#actors.set(actorId, actor);
    }
    const c = new RunContext(actor, this.#native, id, connection, headers);
    const run: Run = { id, kind, actor, c, name, replyEncoding };
    this.#runs.set(id, run);
    let result: unknown;
    try {
      result = this.#begin(run, this.#types[typeIndex]!, payload, connection);
    } catch (error) {
      return this.#fail(run, error);
    }
    if (isThenable(result)) {
      result.then(
        (value) => this.#finish(run, value),
        (error) => this.#fail(run, error),
      );
    } else {
      this.#finish(run, result);
    }
  };

  readonly abort: NativeCallbacks["abort"] = (id, isTimeout) => {
    const run = this.#runs.get(id);
    if (!run) return;
    RunContext.abort(run.c, isTimeout);
    run.socket?.abort();
    if (!isTimeout) return;
    // It has been answered, and what its code still asks for is refused.
    run.actor.undo();
    this.#forgetRun(run);
  };

  readonly takeState: NativeCallbacks["takeState"] = (actor) =>
    this.#actors.get(actor)?.takeState();

  readonly restoreState: NativeCallbacks["restoreState"] = (actor, state) => {
    this.#actors.get(actor)?.restoreState(state);
  };

  readonly forget: NativeCallbacks["forget"] = (actor) => {
    this.#actors.delete(actor);
  };

  readonly message: NativeCallbacks["message"] = (run, data) => {
    this.#runs.get(run)?.socket?.message(data);
  };

  readonly closed: NativeCallbacks["closed"] = (run, code, reason) => {
    this.#runs.get(run)?.socket?.closed(code, reason);
  };

  /** How many are awake. */
  get actorCount(): number {
    return this.#actors.size;
  }

  #begin(
    run: Run,
    type: RuntimeType,
    payload: Payload | undefined,
    connection: NativeConnection | undefined,
  ): unknown {
    const { kind, c } = run;
    const { config } = type;
    switch (kind) {
      case Kind.Action:
        return this.#action(run, payload);
      case Kind.Message:
        return this.#message(run, payload);
      case Kind.Create:
        return this.#create(run, type, payload);
      case Kind.Load:
        return this.#load(run, type, payload);
      case Kind.Wake:
        return this.#wake(run);
      case Kind.Run:
        return config.run?.(c);
      case Kind.Admit:
        return this.#admit(run, connection!);
      case Kind.Connected:
        return config.onConnect?.(c, c.conn);
      case Kind.Disconnected:
        return config.onDisconnect?.(c, c.conn);
      case Kind.Sleep:
        return config.onSleep?.(c);
      case Kind.Destroy:
        return config.onDestroy?.(c);
      case Kind.Pass:
        return this.#pass(run);
      case Kind.Request:
        return this.#request(run, payload);
      case Kind.Talk:
        return this.#talk(run, payload);
      case Kind.Subscribe:
        return answerOf(config.events![run.name]!.canSubscribe!(c));
      case Kind.Publish:
        return answerOf(config.queues![run.name]!.options!.canPublish!(c));
    }
    throw new Error(`there is no kind of run ${String(kind)}`);
  }

  #action({ c, name, actor }: Run, payload: Payload | undefined): unknown {
    const { actions, schemas } = actor.config;
    const args = payload === undefined ? [] : fromPayload(payload, "arguments");
    if (!Array.isArray(args)) throw new InvalidArguments("arguments are an array");
    const action = actions![name]!;
    const schema = schemas?.actions?.[name];
    if (!schema) return action(c, ...args);
    const checked = validate(schema, args, `arguments of '${name}'`);
    return then(checked, (each) => action(c, ...(each as unknown[])));
  }

  #message({ c, name, actor }: Run, payload: Payload | undefined): unknown {
    const { onMessage, schemas } = actor.config;
    const body = payload === undefined ? undefined : fromPayload(payload, `'${name}'`);
    const checked = validate(schemas?.queues?.[name], body, `a message of '${name}'`);
    return then(checked, (each) => onMessage![name]!(c, each));
  }

  async #create(run: Run, type: RuntimeType, payload: Payload | undefined): Promise<void> {
    const { c, actor } = run;
    const { schemas, db, onCreate } = type.config;
    const given = payload === undefined ? undefined : fromPayload(payload, "input");
    const input = await validate(schemas?.input, given, "input");
    await db?.onMigrate?.(c as never);
    await this.#makeState(actor, type, c, input);
    await onCreate?.(c, input);
  }

  async #load(run: Run, type: RuntimeType, payload: Payload | undefined): Promise<void> {
    const { c, actor } = run;
    await type.config.db?.onMigrate?.(c as never);
    // Nothing is saved of actors that were made before their type had a state.
    if (!actor.hasState || !(payload instanceof Uint8Array)) {
      return this.#makeState(actor, type, c, undefined);
    }
    actor.setState(TrackedValue.saved(payload));
  }

  async #makeState(
    actor: AwakeActor,
    type: RuntimeType,
    c: RunContext,
    input: unknown,
  ): Promise<void> {
    if (!actor.hasState) return;
    const initial = this.#initialStates.get(type);
    const state = initial ? decode(initial) : await type.config.createState?.(c, input);
    actor.setState(TrackedValue.fresh(state));
  }

  async #wake({ c, actor }: Run): Promise<void> {
    const { vars, createVars, onWake } = actor.config;
    actor.vars = createVars ? await createVars(c) : structuredClone(vars);
    await onWake?.(c);
  }

  /** Gives the connection's state. */
  async #admit({ c, actor }: Run, connection: NativeConnection): Promise<unknown> {
    const { onBeforeConnect, connState, createConnState } = actor.config;
    const params = actor.connections.params(connection);
    await onBeforeConnect?.(c, params);
    return createConnState ? createConnState(c, params) : connState;
  }

  /** A client without a connection says in a header what another says when it connects. */
  #pass({ c, actor }: Run): unknown {
    const { onBeforeConnect, schemas } = actor.config;
    if (!onBeforeConnect) return undefined;
    const text = c.request.headers.get("x-skep-params");
    const given = text === null ? undefined : fromPayload(text, "params");
    const checked = validate(schemas?.params, given, "params");
    return then(checked, (params) => onBeforeConnect(c, params));
  }

  async #request({ c, name, actor }: Run, payload: Payload | undefined): Promise<void> {
    const request = requestOf(name, c.request.headers, payload, c.abortSignal);
    const response = await actor.config.onRequest!(c, request);
    await respond(RunContext.operationsOf(c), response);
  }

  #talk(run: Run, protocols: Payload | undefined): Promise<void> {
    const { c, name, actor } = run;
    const { onWebSocket, options } = actor.config;
    const socket = new RunWebSocket(
      RunContext.operationsOf(c),
      JSON.parse(protocols as string) as string[],
      options?.oneAtATime === true,
      (other) => RunContext.operationsOf(other as unknown as RunContext),
    );
    run.socket = socket;
    const request = requestOf(name, c.request.headers, undefined, c.abortSignal);
    return socket.serve(() => onWebSocket!(c, socket, request));
  }

  #finish(run: Run, value: unknown): void {
    const operations = RunContext.operationsOf(run.c);
    let result: Payload | undefined;
    try {
      if (operations.failure !== undefined) throw operations.failure;
      result = encodeResult(run, value);
      run.actor.prepare(run.kind === Kind.Sleep);
    } catch (error) {
      return this.#fail(run, error);
    }
    this.#settle(run, undefined, result);
  }

  #fail(run: Run, error: unknown): void {
    const failure = this.#failureOf(run, error);
    run.actor.undo();
    this.#settle(run, failure, undefined);
  }

  #settle(run: Run, failure: NativeFailure | undefined, result: Payload | undefined): void {
    if (!this.#forgetRun(run)) return;
    this.#native.settle(run.id, failure, result);
    run.actor.settled();
  }

  /** Whether it was still there. */
  #forgetRun(run: Run): boolean {
    if (!this.#runs.delete(run.id)) return false;
    const operations = RunContext.operationsOf(run.c);
    operations.isOver = true;
    run.actor.release(operations);
    return true;
  }

  #failureOf(run: Run, error: unknown): NativeFailure {
    if (isTold(error)) return toNative(error);
    const reference = crypto.randomUUID().slice(0, 8);
    const what = run.name ? `${names[run.kind]} '${run.name}'` : names[run.kind];
    run.actor.log.error(`${what} failed`, { reference, error });
    return masked(reference);
  }
}

/** What each actor gets a copy of must be such that copies can be made. */
function checkCopies({ name, config }: RuntimeType): void {
  const check = (what: "vars" | "state" | "connState", copy: (value: unknown) => unknown): void => {
    try {
      if (config[what] !== undefined) copy(config[what]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const create = `create${what[0]!.toUpperCase()}${what.slice(1)}`;
      throw new TypeError(`${what} of '${name}': ${reason}; ${create} makes one for each`, {
        cause,
      });
    }
  };
  check("vars", structuredClone);
  check("state", (value) => encode(value, "stored"));
  check("connState", (value) => encode(value, "stored"));
}

/** Nothing: there is none, or null. */
function encodeResult(run: Run, value: unknown): Payload | undefined {
  switch (run.kind) {
    case Kind.Action:
    case Kind.Message:
      return value === undefined ? undefined : toPayload(value, run.replyEncoding);
    case Kind.Subscribe:
    case Kind.Publish:
    case Kind.Admit:
      return value === undefined ? undefined : encode(value, "stored");
    default:
      return undefined;
  }
}

/** Nothing but true lets anybody in; what is no boolean is a mistake. */
function answerOf(given: unknown): unknown {
  return then(given, (answer) => {
    if (typeof answer === "boolean") return answer;
    throw new TypeError("canSubscribe and canPublish give true or false");
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/** At once where it can be. */
function then<T>(value: unknown, next: (value: unknown) => T): T | Promise<T> {
  return value instanceof Promise ? value.then(next) : next(value);
}
