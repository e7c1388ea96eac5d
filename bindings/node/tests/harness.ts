/** Drives the addon as packages/skep does, but with nothing in between: each kind of run is a function of the test. */
import { createRequire } from "node:module";

import type { Command, Kind, Native, NativeConnection, NativeFailure, NativeRows, NativeType, Payload, SqlValue } from "../../../packages/skep/src/native.js";

export const native = createRequire(import.meta.url)(process.env.SKEP_NATIVE!) as Native;

export interface Given {
  run: number;
  actor: number;
  name: string;
  payload: Payload | undefined;
  connection: NativeConnection | undefined;
  /** The array of an action's arguments. */
  args: unknown[];
}

export type Code = (given: Given) => unknown;

export class Failed extends Error {
  constructor(readonly failure: NativeFailure) {
    super(failure.message);
  }
}

/** What a run's code does with SQL: the awaited form, whose rows come as arrays of values. */
export async function sql(run: number, text: string, ...parameters: unknown[]): Promise<SqlValue[][]> {
  const rows = await native.execute(run, native.statement(text), parameters, false);
  return split(rows);
}

export function split(rows: NativeRows): SqlValue[][] {
  const width = rows.columns.length;
  const all: SqlValue[][] = [];
  for (let i = 0; i < rows.values.length; i += width) all.push(rows.values.slice(i, i + width));
  return all;
}

export interface Served {
  url: string;
  aborts: { run: number; isTimeout: boolean }[];
  forgotten: number[];
  restored: (Uint8Array | undefined)[];
  /** Taken with the next commit of any actor. */
  state: Map<number, Uint8Array>;
  /** Runs an action; gives its status and the decoded body. */
  call(key: string, action: string, ...args: unknown[]): Promise<{ status: number; body: any }>;
  stop(): Promise<void>;
}

export async function serve(
  code: { actions: Record<string, Code>; hooks?: Partial<Record<Kind, Code>> },
  type: Partial<NativeType> = {},
  settings: string[] = [],
): Promise<Served> {
  const served = { aborts: [], forgotten: [], restored: [], state: new Map() } as unknown as Served;
  const settle = async (given: Given, chosen: Code | undefined, isAction: boolean): Promise<void> => {
    try {
      const result = await chosen?.(given);
      native.settle(given.run, undefined, isAction ? JSON.stringify(result ?? null) : (result as Payload | undefined));
    } catch (thrown) {
      const failure = thrown as Partial<NativeFailure> & Error;
      native.settle(given.run, {
        group: failure.group ?? "internal",
        code: failure.code ?? "internal",
        message: failure.message,
        metadata: failure.metadata ?? "",
        retryable: false,
      }, undefined);
    }
  };
  const started = await native.start(
    {
      settings: ["--store=memory:", "--listen=0", "--log-level=error", ...settings],
      types: [{
        name: "thing",
        migrations: [{ version: 1, sql: "CREATE TABLE t(id INTEGER PRIMARY KEY, v)" }],
        actions: Object.keys(code.actions),
        queues: [],
        events: [],
        hasRun: false,
        hasOnDisconnect: false,
        ...type,
        options: { actionTimeoutMs: 5_000, ...type.options },
      }],
    },
    {
      dispatch(kind, run, actor, _type, _key, name, payload, _encoding, connection) {
        const isAction = kind === 3;
        const args = isAction && typeof payload === "string" ? (JSON.parse(payload) as unknown[]) : [];
        const chosen = isAction ? code.actions[name] : code.hooks?.[kind];
        void settle({ run, actor, name, payload, connection, args }, chosen, isAction);
      },
      abort: (run, isTimeout) => void served.aborts.push({ run, isTimeout }),
      takeState(actor) {
        const state = served.state.get(actor);
        served.state.delete(actor);
        return state;
      },
      restoreState: (_actor, state) => void served.restored.push(state),
      message: () => {},
      closed: () => {},
      forget: (actor) => void served.forgotten.push(actor),
    },
  );
  served.url = started.url;
  served.call = async (key, action, ...args) => {
    const response = await fetch(`${started.url}/actors/thing/${key}/actions/${action}`, {
      method: "POST",
      body: JSON.stringify(args),
    });
    return { status: response.status, body: await response.json() };
  };
  served.stop = () => native.stop();
  return served;
}

export type { Command };
