import {
  type ActorConnection,
  type ActorError,
  type ActorHandle,
  type ActorKey,
  type ActorName,
  type AnyRegistry,
  type Client,
  type ClientOptions,
  type ConnectionStatus,
  createClient,
  type DefinitionOf,
  type EventName,
  type EventPayload,
  type InputOf,
  type ParamsOf,
  type RegistryContract,
} from "@skep/client";
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import { idle, type SharedActor, SharedActors, type Snapshot } from "./shared_actor.ts";
import { useActorQuery } from "./use_actor_query.ts";

/** Which actor, and how to connect to it. Components with equal options share one connection. */
export interface UseActorOptions<R extends RegistryContract, Name extends ActorName<R>> {
  readonly name: Name;
  readonly key: ActorKey;
  /** What the client says about itself. */
  readonly params?: ParamsOf<DefinitionOf<R, Name>> | undefined;
  /**
   * As `params`, asked anew for each try to connect. Components may share a connection whose
   * `getParams` differ: the newest counts.
   */
  readonly getParams?:
    (() => ParamsOf<DefinitionOf<R, Name>> | Promise<ParamsOf<DefinitionOf<R, Name>>>) | undefined;
  /** The input of the actor's creation, should it not exist. */
  readonly createWithInput?: InputOf<DefinitionOf<R, Name>> | undefined;
  /** Whether to connect. true */
  readonly enabled?: boolean | undefined;
  /** Fail with `actor.not_found` instead of making the actor. false */
  readonly noCreate?: boolean | undefined;
}

/** An actor as a component has it. */
export interface UseActorResult<D> {
  /** For calls without a connection; there from the first render on. */
  readonly handle: ActorHandle<D>;
  /** Null until the component is mounted, on a server, and while it is not `enabled`. */
  readonly connection: ActorConnection<D> | null;
  readonly connStatus: ConnectionStatus;
  /** Why there is no connection; null while there is one. */
  readonly error: ActorError | null;
  /**
   * Hears of each event of that name while the component is mounted. A hook: its rules are those of
   * all hooks.
   */
  useEvent<Name extends EventName<D>>(
    event: Name,
    listener: (value: EventPayload<D, Name>) => void,
  ): void;
}

/** The hooks of one application. */
export interface Skep<R extends RegistryContract> {
  readonly client: Client<R>;
  /** Connects a component to an actor. */
  useActor<Name extends ActorName<R>>(
    options: UseActorOptions<R, Name>,
  ): UseActorResult<DefinitionOf<R, Name>>;
  /** The result of an action, which is called again when one of the events `refreshOn` comes. */
  readonly useActorQuery: typeof useActorQuery;
}

/**
 * The hooks for the actors of a server. Once for an application, outside of components.
 *
 * ```tsx
 * const { useActor } = createSkep<typeof registry>("http://localhost:6420");
 *
 * function Room({ id }: { id: string }) {
 *   const room = useActor({ name: "chatRoom", key: [id] });
 *   room.useEvent("newMessage", (message) => console.log(message.text));
 *   return <button onClick={() => room.connection?.send("ada", "hello")}>{room.connStatus}</button>;
 * }
 * ```
 *
 * @param server - A server's URL, or a client of one.
 */
export function createSkep<R extends RegistryContract = AnyRegistry>(
  server: string | Client<R>,
  options?: ClientOptions,
): Skep<R> {
  const client = typeof server === "string" ? createClient<R>(server, options) : server;
  const actors = new SharedActors(client as unknown as Client<AnyRegistry>);

  function useActor<Name extends ActorName<R>>(
    given: UseActorOptions<R, Name>,
  ): UseActorResult<DefinitionOf<R, Name>> {
    const shared = actors.get(given);
    const { enabled = true, getParams } = given;
    // Before the effect that connects.
    useEffect(() => {
      if (enabled) shared.getParams = getParams;
    });
    const snapshot = useSyncExternalStore(
      enabled ? shared.subscribe : neverChanges,
      enabled ? shared.getSnapshot : getIdle,
      getIdle,
    );
    return useMemo(
      () => resultOf(shared, snapshot, enabled),
      [shared, snapshot, enabled],
    ) as unknown as UseActorResult<DefinitionOf<R, Name>>;
  }
  return { client, useActor, useActorQuery };
}

function neverChanges(): () => void {
  return () => {};
}
function getIdle(): Snapshot {
  return idle;
}

function resultOf(shared: SharedActor, snapshot: Snapshot, enabled: boolean): object {
  return {
    ...snapshot,
    handle: shared.handle,
    useEvent: function useEvent(event: string, listener: (value: unknown) => void): void {
      const newest = useRef(listener);
      useEffect(() => {
        newest.current = listener;
      });
      useEffect(
        () => (enabled ? shared.on(event, (value) => newest.current(value)) : undefined),
        [shared, enabled, event],
      );
    },
  };
}
