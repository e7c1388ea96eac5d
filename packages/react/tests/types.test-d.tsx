// What compiles, and what must not.

import type { ActorConnection, ActorError, DefinitionOf } from "@skep/client";
import { createSkep } from "@skep/react";
import { expectTypeOf, test } from "vitest";

import type { ChatMessage, Registry } from "../../../testing/packages/registry.ts";

const { useActor, useActorQuery } = createSkep<Registry>("http://localhost:6420");

test("useActor knows the registry", () => {
  const room = useActor({ name: "chat", key: ["lobby"] });
  expectTypeOf(room.connection).toEqualTypeOf<ActorConnection<
    DefinitionOf<Registry, "chat">
  > | null>();
  expectTypeOf(room.error).toEqualTypeOf<ActorError | null>();
  expectTypeOf(room.handle.send).returns.resolves.toEqualTypeOf<ChatMessage>();
  room.useEvent("message", (message) => expectTypeOf(message).toEqualTypeOf<ChatMessage>());
  // @ts-expect-error -- a wrong event
  room.useEvent("massage", () => {});
  // @ts-expect-error -- a wrong payload
  room.useEvent("message", (message: number) => message);
  // @ts-expect-error -- a wrong action
  void room.connection?.sned("ada", "hello");
  // @ts-expect-error -- a wrong argument
  void room.connection?.send("ada", 7);
  // @ts-expect-error -- a wrong name
  useActor({ name: "chatt", key: ["lobby"] });
  // @ts-expect-error -- no key
  useActor({ name: "chat" });
  // @ts-expect-error -- wrong parameters
  useActor({ name: "club", key: "c", params: { name: 7 } });
  // @ts-expect-error -- a wrong input
  useActor({ name: "counter", key: "c", createWithInput: { start: "7" } });
  // @ts-expect-error -- an unknown option
  useActor({ name: "counter", key: "c", enable: true });
});

test("useActorQuery knows the actor", () => {
  const room = useActor({ name: "chat", key: ["lobby"] });
  const history = useActorQuery(room, { action: "history", refreshOn: ["message"] });
  expectTypeOf(history.data).toEqualTypeOf<ChatMessage[] | undefined>();
  const values = useActor({ name: "values", key: "v" });
  expectTypeOf(useActorQuery(values, { action: "add", args: [1, 2n] }).data).toEqualTypeOf<
    number | bigint | undefined
  >();
  // @ts-expect-error -- a wrong action
  useActorQuery(room, { action: "histroy" });
  // @ts-expect-error -- a wrong event
  useActorQuery(room, { action: "history", refreshOn: ["massage"] });
  // @ts-expect-error -- wrong arguments
  useActorQuery(values, { action: "add", args: ["1", "2"] });
  // @ts-expect-error -- no arguments where some are needed
  useActorQuery(values, { action: "add" });
});
