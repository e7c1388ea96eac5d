// What compiles, and what must not.

import {
  type ActorConnection,
  type ActorHandle,
  type Client,
  createClient,
  type EventType,
  type QueueType,
  type Received,
  type Sent,
} from "@skep/client";
import { describe, expectTypeOf, test } from "vitest";

import type { ChatMessage, Registry } from "../../../testing/packages/registry.ts";

// A registry as `setup({ use })` of the package `skep` has it: actions take a context first.
interface ChatContext {
  broadcast(name: "newMessage", message: Note): void;
}
interface Note {
  text: string;
  at: Date;
  size: bigint;
  raw: Uint8Array;
}
interface Definition<Actions, Events, Queues, Params, Input> {
  readonly actions: Actions;
  readonly events: Events;
  readonly queues: Queues;
  readonly "~types"?: { readonly params: Params; readonly input: Input };
  readonly options: { sleepAfter: number };
}
function actor<A, E, Q, P, I>(definition: {
  actions: A;
  events: E;
  queues: Q;
  onBeforeConnect: (c: ChatContext, params: P) => void;
  onCreate: (c: ChatContext, input: I) => void;
}): Definition<A, E, Q, P, I> {
  return { ...definition, options: { sleepAfter: 1 } };
}
const event = <T>(): EventType<T> => ({});
const queue = <Body, Reply>(): QueueType<Body, Reply> => ({});

const chatRoom = actor({
  actions: {
    send: async (c: ChatContext, sender: string, text?: string): Promise<Note> => {
      const note = { text: text ?? sender, at: new Date(), size: 1n, raw: new Uint8Array() };
      c.broadcast("newMessage", note);
      return note;
    },
    count: (_c: ChatContext): number => 1,
    nothing: () => {},
    rest: (_c: ChatContext, ...all: string[]): string[] => all,
    fetch: (_c: ChatContext, url: string): string => url,
  },
  events: { newMessage: event<Note>() },
  queues: { jobs: queue<{ id: number }, string>() },
  onBeforeConnect: (_c, _params: { name: string }) => {},
  onCreate: (_c, _input: { topic: string }) => {},
});
const registry = { use: { chatRoom }, start(): void {} };

const client = createClient<typeof registry>("http://localhost:6420");
const room = client.chatRoom.getOrCreate(["lobby"]);

describe("a handle", () => {
  test("has the actions, without their context", () => {
    expectTypeOf(room.count).toEqualTypeOf<() => Promise<number>>();
    expectTypeOf(room.nothing).toEqualTypeOf<() => Promise<void>>();
    expectTypeOf(room.send).parameters.toEqualTypeOf<[sender: string, text?: string]>();
    expectTypeOf(room.rest).parameters.toEqualTypeOf<string[]>();
    expectTypeOf<Awaited<ReturnType<typeof room.send>>>().toEqualTypeOf<{
      text: string;
      at: string;
      size: number | bigint;
      raw: Uint8Array;
    }>();
  });
  test("has no others", () => {
    // @ts-expect-error -- a wrong name
    void room.sned("ada", "hello");
    // @ts-expect-error -- a wrong argument
    void room.send(7);
    // @ts-expect-error -- too few arguments
    void room.send();
    // @ts-expect-error -- too many arguments
    void room.count(1);
    // @ts-expect-error -- an actor type that is not there
    void client.chatRooms;
    // @ts-expect-error -- the same, by name
    void client.actor("chatRooms");
  });
  test("calls by name, with options", () => {
    expectTypeOf(room.action({ name: "count" })).resolves.toEqualTypeOf<number>();
    expectTypeOf(
      room.action({ name: "fetch", args: ["x"], idempotent: true }),
    ).resolves.toEqualTypeOf<string>();
    // @ts-expect-error -- a wrong name
    void room.action({ name: "cuont" });
    // @ts-expect-error -- wrong arguments
    void room.action({ name: "send", args: [7] });
    // @ts-expect-error -- no arguments where some are needed
    void room.action({ name: "send" });
    // @ts-expect-error -- an unknown option
    void room.action({ name: "count", retry: 7 });
  });
  test("keeps its own members where an action has the same name", () => {
    expectTypeOf(room.fetch).returns.resolves.toEqualTypeOf<Response>();
    // @ts-expect-error -- the handle's own
    void room.fetch({ not: "a path" });
  });
  test("is no promise", () => {
    expectTypeOf<Awaited<typeof room>>().toEqualTypeOf<typeof room>();
  });
  test("has queues", () => {
    expectTypeOf(room.queue.jobs.send({ id: 1 })).resolves.toEqualTypeOf<Sent<undefined>>();
    expectTypeOf(room.queue.jobs.send({ id: 1 }, { wait: true })).resolves.toEqualTypeOf<
      Sent<string>
    >();
    // @ts-expect-error -- a wrong queue
    void room.queue.job.send({ id: 1 });
    // @ts-expect-error -- a wrong body
    void room.queue.jobs.send({ id: "1" });
  });
});

describe("creation", () => {
  test("takes the actor's input and parameters", () => {
    client.chatRoom.getOrCreate("k", {
      createWithInput: { topic: "bees" },
      params: { name: "ada" },
    });
    client.chatRoom.getOrCreate("k", { getParams: async () => ({ name: "ada" }) });
    expectTypeOf(client.chatRoom.create("k", { input: { topic: "bees" } })).resolves.toEqualTypeOf(
      room,
    );
    // @ts-expect-error -- a wrong input
    client.chatRoom.getOrCreate("k", { createWithInput: { topic: 7 } });
    // @ts-expect-error -- get() makes nothing
    client.chatRoom.get("k", { createWithInput: { topic: "bees" } });
    // @ts-expect-error -- wrong parameters
    client.chatRoom.getOrCreate("k", { params: { nome: "ada" } });
    // @ts-expect-error -- wrong parameters
    room.connect({ name: 7 });
    // @ts-expect-error -- a key that is none
    client.chatRoom.get(7);
  });
});

describe("a connection", () => {
  const connection = room.connect({ name: "ada" });
  test("has the actions", () => {
    expectTypeOf(connection.count).toEqualTypeOf<() => Promise<number>>();
    expectTypeOf(connection.fetch).toEqualTypeOf<(url: string) => Promise<string>>();
    // @ts-expect-error -- a wrong name
    void connection.sned();
  });
  test("has events with what they carry", () => {
    connection.on("newMessage", (note) => expectTypeOf(note).toEqualTypeOf<Received<Note>>());
    connection.once("newMessage", (note) => expectTypeOf(note.at).toEqualTypeOf<string>());
    // @ts-expect-error -- a wrong event
    connection.on("newMesage", () => {});
    // @ts-expect-error -- a wrong payload
    connection.on("newMessage", (note: { texts: string }) => note);
  });
  test("has a status", () => {
    expectTypeOf(connection.status).toEqualTypeOf<
      "idle" | "connecting" | "connected" | "disconnected"
    >();
    // @ts-expect-error -- not to be set
    connection.status = "connected";
  });
});

describe("a registry that is written by hand", () => {
  const byHand: Client<Registry> = createClient<Registry>("http://localhost:6420");
  const handle = byHand.chat.get("k");
  test("has the same types", () => {
    expectTypeOf(handle.send("ada", "hello")).resolves.toEqualTypeOf<ChatMessage>();
    expectTypeOf(byHand.values.get("k").add(1n, 2)).resolves.toEqualTypeOf<number | bigint>();
    expectTypeOf(
      byHand.counter.get("k").queue.additions.send(1, { wait: true }),
    ).resolves.toEqualTypeOf<Sent<number>>();
    expectTypeOf(
      byHand.counter.get("k").queue.unread.send(1, { wait: true }),
    ).resolves.toEqualTypeOf<Sent<null>>();
    handle.connect().on("message", (message) => expectTypeOf(message).toEqualTypeOf<ChatMessage>());
  });
  test("has the same errors", () => {
    // @ts-expect-error -- a wrong argument
    void handle.send("ada", 7);
    // @ts-expect-error -- a wrong event
    handle.connect().on("massage", () => {});
    // @ts-expect-error -- an actor without that queue
    void handle.queue.additions;
    // @ts-expect-error -- a wrong input
    byHand.counter.getOrCreate("k", { createWithInput: { start: "7" } });
  });
});

describe("a client without a registry", () => {
  const untyped = createClient("http://localhost:6420");
  test("calls anything, and knows nothing of what it gets", () => {
    expectTypeOf(untyped.anything!.get("k").whatever!(1, "x")).resolves.toEqualTypeOf<unknown>();
    untyped
      .actor("anything")
      .get("k")
      .connect()
      .on("event", (value) => expectTypeOf(value).toEqualTypeOf<unknown>());
    expectTypeOf(
      untyped
        .actor("anything")
        .get("k")
        .action({ name: "x", args: [1, 2] }),
    ).resolves.toEqualTypeOf<unknown>();
  });
});

test("names of types are there for those who need them", () => {
  expectTypeOf<ActorHandle<typeof chatRoom>>().toEqualTypeOf(room);
  expectTypeOf<ActorConnection<typeof chatRoom>["count"]>().toEqualTypeOf<() => Promise<number>>();
});
