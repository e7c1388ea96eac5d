// canSubscribe and canPublish: who may hear what, and send where.

import { ActorError, createClient } from "@skep/client";
import { type AccessContext, actor, event, queue, type Server, setup, UserError } from "skep";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { key, until } from "./waiting.ts";

interface Params {
  name: string;
}

const board = actor({
  events: {
    news: event<string>(),
    secret: event<string>({
      canSubscribe: (c: AccessContext<{ role: string }, { asked: string[] }>) => {
        c.state.asked.push(c.conn!.state.role);
        return c.conn!.state.role === "admin";
      },
    }),
    slow: event<string>({
      canSubscribe: async (c) => {
        await c.sleepFor(10);
        return true;
      },
    }),
    careless: event<string>({ canSubscribe: () => "yes" as never }),
    broken: event<string>({
      canSubscribe: () => {
        throw new UserError("not today", { code: "not_today" });
      },
    }),
  },
  queues: {
    open: queue<string, string>(),
    guarded: queue<string, string>({
      canPublish: (c) => c.request.headers.get("x-role") === "admin",
    }),
  },
  state: { asked: [] as string[], handled: [] as string[] },
  createConnState: (_c, params: Params | undefined) => ({ role: params?.name ?? "nobody" }),
  onMessage: {
    open: (c, body) => (c.state.handled.push(body), body.toUpperCase()),
    guarded: (c, body) => (c.state.handled.push(body), body.toUpperCase()),
  },
  actions: {
    tell: (c, text: string) => {
      c.broadcast("news", text);
      c.broadcast("secret", text);
      c.broadcast("slow", text);
    },
    promote: (c) => void ((c.conn!.state as { role: string }).role = "admin"),
    look: (c) => c.state,
    sendOwn: (c) => c.queue.send("guarded", "own"),
    nap: (c) => c.sleep(),
  },
  options: { sleepAfter: 100 },
});
const friend = actor({
  actions: {
    send: async (c, name: string): Promise<void> => {
      await c.client<typeof registry>().board.getOrCreate(name).queue.guarded.send("friend");
    },
  },
});
const registry = setup({ use: { board, friend } });

let server: Server;
let client: ReturnType<typeof createClient<typeof registry>>;
beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  server = await registry.start({ store: "memory:", listen: 0, signals: false, logLevel: "error" });
  client = createClient<typeof registry>(server.url);
});
afterAll(async () => {
  client.dispose();
  await server.stop();
  vi.restoreAllMocks();
});

/** A connection, what it hears, and of which errors. */
function connect(name: string, role?: string) {
  const connection = client.board.getOrCreate(name).connect(role ? { name: role } : undefined);
  const heard: string[] = [];
  const errors: string[] = [];
  connection.onError((error: ActorError) => errors.push(`${error.group}.${error.code}`));
  const hear = (event: "news" | "secret" | "slow" | "careless" | "broken") =>
    connection.on(event, (text) => heard.push(`${event} ${text}`));
  return { connection, heard, errors, hear };
}

test("who may not subscribe when it connects is told, is connected, and hears the rest", async () => {
  const name = key();
  const eve = connect(name, "eve");
  eve.hear("secret");
  eve.hear("news");
  const ada = connect(name, "admin");
  ada.hear("secret");
  await eve.connection.look();
  await ada.connection.tell("one");
  await until(() => eve.heard.length === 1 && ada.heard.length === 1 && eve.errors.length === 1);
  expect([eve.heard, eve.errors]).toEqual([["news one"], ["request.forbidden"]]);
  expect([ada.heard, ada.errors]).toEqual([["secret one"], []]);
  expect(eve.connection.status).toBe("connected");
  // What the questions wrote belongs to the actor as anything else does.
  expect((await client.board.get(name).look()).asked.sort()).toEqual(["admin", "eve"]);
});

test("it is asked again with each subscription, also of an actor that has slept meanwhile", async () => {
  const name = key();
  const { connection, heard, errors, hear } = connect(name, "eve");
  await connection.look();
  const off = hear("secret");
  await until(() => errors.length === 1);
  off();
  await client.board.get(name).nap();
  await connection.promote();
  hear("secret");
  await connection.tell("two");
  await until(() => heard.length === 1);
  expect([heard, errors]).toEqual([["secret two"], ["request.forbidden"]]);
  expect((await connection.look()).asked).toEqual(["eve", "admin"]);
});

test("what a client sends behind a subscription waits for the answer", async () => {
  const { connection, heard, hear } = connect(key());
  await connection.look();
  const off = hear("slow");
  const told = connection.tell("three");
  await told;
  await until(() => heard.length === 1);
  off();
  hear("slow")();
  await connection.tell("four");
  await connection.look();
  expect(heard).toEqual(["slow three"]);
});

test("all events are those that it may hear", async () => {
  const name = key();
  await client.board.getOrCreate(name).look();
  const socket = new (await import("ws")).WebSocket(
    `${server.url.replace("http", "ws")}/actors/board/${name}/connect`,
    ["skep.1"],
  );
  const messages: { type: string; name?: string }[] = [];
  socket.on("message", (data) => messages.push(JSON.parse(String(data)) as { type: string }));
  await new Promise((resolve) => socket.on("open", resolve));
  socket.send(JSON.stringify({ type: "connect", params: { name: "eve" } }));
  socket.send(JSON.stringify({ type: "subscribe", events: ["*"] }));
  socket.send(JSON.stringify({ type: "call", id: 1, action: "tell", args: ["five"] }));
  await until(() => messages.some(({ type }) => type === "reply"));
  const events = messages.filter(({ type }) => type === "event").map(({ name }) => name);
  expect(events.sort()).toEqual(["news", "slow"]);
  expect(messages.filter(({ type }) => type === "error")).toMatchObject([]);
  socket.close();
});

test("an answer that is neither true nor false, or an error, lets nobody in", async () => {
  const { connection, errors, hear } = connect(key());
  await connection.look();
  hear("careless");
  await until(() => errors.length === 1);
  hear("broken");
  await until(() => errors.length === 2);
  expect(errors).toEqual(["request.forbidden", "request.forbidden"]);
});

test("messages of clients need leave, those of actors do not", async () => {
  const name = key();
  const room = client.board.getOrCreate(name);
  expect((await room.queue.open.send("a", { wait: true })).reply).toBe("A");
  await expect(room.queue.guarded.send("b")).rejects.toMatchObject({
    group: "request",
    code: "forbidden",
  });
  const admin = createClient<typeof registry>(server.url, { headers: () => ({ "x-role": "admin" }) });
  expect((await admin.board.get(name).queue.guarded.send("c", { wait: true })).reply).toBe("C");
  await room.sendOwn();
  await client.friend.getOrCreate("f").send(name);
  await until(async () => (await room.look()).handled.length === 4);
  expect((await room.look()).handled.sort()).toEqual(["a", "c", "friend", "own"]);
  admin.dispose();
});
