import {
  type ActionArgs,
  type ActionName,
  type ActionResult,
  type ActorConnection,
  type ActorError,
  type AnyRegistry,
  type DefinitionOf,
  type EventName,
} from "@skep/client";
import { useCallback, useEffect, useRef, useState } from "react";

import { hashOf } from "./hash.ts";
import type { UseActorResult } from "./use_actor.ts";

/**
 * An action that only reads: it is called as often as is needed, and again when an answer was lost.
 */
export type UseActorQueryOptions<D, Name extends ActionName<D>> = {
  readonly action: Name;
  /** Events after which the result may be another. */
  readonly refreshOn?: readonly EventName<D>[];
  /** Whether to call it at all. true */
  readonly enabled?: boolean | undefined;
} & ([] extends ActionArgs<D, Name>
  ? { readonly args?: Readonly<ActionArgs<D, Name>> }
  : { readonly args: Readonly<ActionArgs<D, Name>> });

/** What is known of the result of an action. */
export interface UseActorQueryResult<T> {
  /** The newest result; undefined before the first. */
  readonly data: T | undefined;
  /** Why the newest call failed; null when it did not. `data` is then of an earlier one. */
  readonly error: ActorError | null;
  /** Whether there is neither a result nor an error yet. */
  readonly isLoading: boolean;
  /** Calls the action again. */
  refresh(): void;
}

interface Outcome {
  /** Of the query that it belongs to. */
  readonly of: string;
  readonly data: unknown;
  readonly error: ActorError | null;
}

/**
 * The result of an action of an actor, kept fresh.
 *
 * ```tsx
 * const room = useActor({ name: "chatRoom", key: [id] });
 * const history = useActorQuery(room, { action: "history", refreshOn: ["newMessage"] });
 * ```
 *
 * It is called over the connection: when it is made, when one of the events comes, and when some
 * may have been missed. At most one call is under way; what comes meanwhile leads to one more.
 */
export function useActorQuery<D, Name extends ActionName<D>>(
  actor: UseActorResult<D>,
  options: UseActorQueryOptions<D, Name>,
): UseActorQueryResult<ActionResult<D, Name>> {
  const {
    action,
    args = [],
    refreshOn = [],
    enabled = true,
  } = options as {
    action: string;
    args?: readonly unknown[];
    refreshOn?: readonly string[];
    enabled?: boolean;
  };
  // No type of an action's name is known in here.
  const connection = actor.connection as unknown as ActorConnection<
    DefinitionOf<AnyRegistry, string>
  > | null;
  const query = hashOf([actor.handle.name, actor.handle.key, action, args]);
  const events = hashOf(refreshOn);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const newest = useRef({ args, refreshOn });
  const refreshNow = useRef(() => {});
  useEffect(() => {
    newest.current = { args, refreshOn };
  });

  useEffect(() => {
    if (!connection || !enabled) return undefined;
    const end = new AbortController();
    let isUnderWay = false;
    let isStale = false;
    let hasFailed = false;
    const refresh = async (): Promise<void> => {
      isStale = true;
      if (isUnderWay) return;
      isUnderWay = true;
      while (isStale && !end.signal.aborted) {
        isStale = false;
        let data: unknown;
        let error: ActorError | null = null;
        try {
          data = await connection.action({
            name: action,
            args: [...newest.current.args],
            idempotent: true,
            signal: end.signal,
          });
        } catch (reason) {
          error = reason as ActorError;
        }
        if (end.signal.aborted) return;
        hasFailed = error !== null;
        setOutcome((before) => ({
          of: query,
          error,
          data: error && before?.of === query ? before.data : data,
        }));
      }
      isUnderWay = false;
    };
    const stops = [
      ...newest.current.refreshOn.map((event) => connection.on(event, refresh)),
      connection.onMissed(refresh),
      connection.onOpen(() => (hasFailed ? refresh() : undefined)),
    ];
    refreshNow.current = () => void refresh();
    void refresh();
    return () => {
      end.abort();
      refreshNow.current = () => {};
      for (const stop of stops) stop();
    };
  }, [connection, enabled, action, query, events]);

  const refresh = useCallback(() => refreshNow.current(), []);
  const current = outcome?.of === query ? outcome : null;
  return {
    data: current?.data as ActionResult<D, Name> | undefined,
    error: current?.error ?? null,
    isLoading: enabled && current === null,
    refresh,
  };
}
