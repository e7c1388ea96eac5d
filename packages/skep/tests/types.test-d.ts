// What compiles, and what must not.

import { createClient, type RegistryContract } from "@skep/client";
import {
  actor,
  type Connection,
  type ContextOf,
  db,
  event,
  queue,
  type QueueMessage,
  type Row,
  setup,
  type StandardSchema,
  UserError,
} from "skep";
import { describe, expectTypeOf, test } from "vitest";

interface Message {
  id: number;
  sender: string;
  text: string;
}

const chatRoom = actor({
  db: db({
    migrations: [{ version: 1, sql: "CREATE TABLE message(id INTEGER PRIMARY KEY, sender, text)" }],
    onMigrate: async (c) => {
      await c.db.execute("SELECT 1");
      // @ts-expect-error -- there is no state yet
      void c.state;
    },
  }),
  events: { newMessage: event<Message>({ history: 100 }), cleared: event() },
  queues: { mails: queue<{ to: string }, boolean>({ triesMax: 3 }), plain: queue<number>() },
  createState: (c, input: { topic: string }) => {
    // @ts-expect-error -- there is no state yet
    void c.state;
    return { topic: input.topic, count: 0, at: new Date() };
  },
  createVars: async (c) => ({ seen: new Set<string>(), topic: c.state.topic }),
  onBeforeConnect: (c, params: { name: string }) => {
    if (c.request.headers.get("origin") === params.name) throw new UserError("no", { code: "no" });
  },
  createConnState: (c, params) => {
    expectTypeOf(params).toEqualTypeOf<{ name: string }>();
    return { name: params.name, joined: c.now() };
  },
  onCreate: async (c, input) => {
    expectTypeOf(c.state.count).toBeNumber();
    expectTypeOf(input).toEqualTypeOf<{ topic: string }>();
  },
  onWake: (c) => {
    expectTypeOf(c.vars.seen).toEqualTypeOf<Set<string>>();
  },
  onConnect: (c, conn) => {
    expectTypeOf(conn.state).toEqualTypeOf<{ name: string; joined: number }>();
    expectTypeOf(conn.params).toEqualTypeOf<{ name: string }>();
    conn.send("cleared");
    // @ts-expect-error -- a wrong event
    conn.send("cleard");
    c.broadcastExcept(conn, "newMessage", { id: 1, sender: conn.state.name, text: "hello" });
  },
  run: async (c) => {
    for await (const message of c.queue.iter("plain")) {
      expectTypeOf(message).toEqualTypeOf<QueueMessage<number, null>>();
      await message.complete(null);
      // @ts-expect-error -- a wrong reply
      await message.complete("x");
    }
  },
  onMessage: {
    mails: async (c, body) => {
      expectTypeOf(body).toEqualTypeOf<{ to: string }>();
      return c.state.count > body.to.length;
    },
  },
  onRequest: async (c, request) => new Response(`${c.state.topic} ${request.url}`),
  actions: {
    send: async (c, sender: string, text: string): Promise<Message> => {
      const [row] = await c.db.execute<Message>("INSERT … RETURNING *", sender, text, Date.now());
      if (!row) throw new UserError("nothing");
      c.broadcast("newMessage", row);
      c.broadcast("cleared");
      // @ts-expect-error -- a wrong event
      c.broadcast("newMesage", row);
      // @ts-expect-error -- a wrong value
      c.broadcast("newMessage", { id: 1 });
      // @ts-expect-error -- no value
      c.broadcast("newMessage");
      // @ts-expect-error -- no such field
      c.state.cuont = 1;
      c.state.count += 1;
      expectTypeOf(c.conn).toEqualTypeOf<
        | Connection<{ name: string; joined: number }, { name: string }, typeof chatRoomEvents>
        | undefined
      >();
      return row;
    },
    history: async (c) => c.db.execute<Message>("SELECT * FROM message"),
    rows: (c) => {
      const rows = c.db.executeSync("SELECT :a", { a: 1 });
      expectTypeOf(rows).toEqualTypeOf<Row[]>();
      // @ts-expect-error -- no parameter of SQL
      c.db.executeSync("SELECT ?", new Date());
      // @ts-expect-error -- a named and another
      c.db.executeSync("SELECT ?", { a: 1 }, 2);
      return rows.length;
    },
    mail: async (c, to: string) => {
      expectTypeOf(await c.queue.send("mails", { to })).toBeNumber();
      // @ts-expect-error -- a wrong body
      await c.queue.send("mails", { too: to });
      // @ts-expect-error -- a wrong queue
      await c.queue.send("mail", { to });
    },
    both: (c, a: string, b?: number) => [c.state.topic, a, b] as const,
    moved: (c) =>
      c.db.transaction(async (tx) => (await tx.execute<{ n: number }>("SELECT 1 AS n"))[0]?.n),
  },
});
declare const chatRoomEvents: (typeof chatRoom)["events"];

const counter = actor({
  state: { count: 0 },
  actions: { add: (c, by: number) => (c.state.count += by) },
});
const bare = actor({});
const registry = setup({ use: { chatRoom, counter, bare } });

describe("a registry", () => {
  test("is what clients are typed by", () => {
    expectTypeOf(registry).toExtend<RegistryContract>();
    const client = createClient<typeof registry>("http://localhost:6420");
    const room = client.chatRoom.getOrCreate("a", {
      createWithInput: { topic: "x" },
      params: { name: "ada" },
    });
    expectTypeOf(room.send).toEqualTypeOf<(sender: string, text: string) => Promise<Message>>();
    expectTypeOf(room.history()).resolves.toEqualTypeOf<Message[]>();
    expectTypeOf(room.both).parameters.toEqualTypeOf<[a: string, b?: number]>();
    expectTypeOf(client.counter.get("a").add(1)).resolves.toBeNumber();
    room.connect().on("newMessage", (message) => expectTypeOf(message).toEqualTypeOf<Message>());
    expectTypeOf(room.queue.mails.send({ to: "x" }, { wait: true })).resolves.toExtend<{
      reply: boolean;
    }>();
    // @ts-expect-error -- a wrong action
    void room.sned("a", "b");
    // @ts-expect-error -- a wrong argument
    void room.send("a", 7);
    // @ts-expect-error -- a wrong input
    client.chatRoom.getOrCreate("a", { createWithInput: { topic: 7 } });
    // @ts-expect-error -- wrong params
    room.connect({ nam: "ada" });
    // @ts-expect-error -- a wrong event
    room.connect().on("newMesage", () => {});
    // @ts-expect-error -- an actor without actions
    void client.bare.get("a").anything();
    // @ts-expect-error -- an actor type that is not there
    void client.chatRooms;
  });
  test("takes definitions only", () => {
    // @ts-expect-error -- this is none
    setup({ use: { chatRoom: {} } });
  });
});

describe("other actors", () => {
  test("are typed by the registry too", () => {
    actor({
      actions: {
        relay: async (c): Promise<number> => {
          const client = c.client<typeof registry>();
          expectTypeOf(client.chatRoom.get("a").send).parameters.toEqualTypeOf<
            [sender: string, text: string]
          >();
          expectTypeOf(
            client.chatRoom.create("a", { input: { topic: "x" } }),
          ).resolves.toHaveProperty("history");
          expectTypeOf(
            client.chatRoom.get("a").queue.mails.send({ to: "x" }),
          ).resolves.toBeNumber();
          // @ts-expect-error -- a wrong action
          void client.counter.get("a").sub(1);
          // @ts-expect-error -- a wrong argument
          void client.counter.get("a").add("1");
          // @ts-expect-error -- no such actor type
          void client.count;
          return client.counter.getOrCreate("a").add(1);
        },
      },
    });
  });
});

describe("definitions", () => {
  test("say what they are about", () => {
    expectTypeOf<ContextOf<typeof counter>["state"]>().toEqualTypeOf<{ count: number }>();
    expectTypeOf<ContextOf<typeof chatRoom>["vars"]>().toEqualTypeOf<{
      seen: Set<string>;
      topic: string;
    }>();
    const helper = (c: ContextOf<typeof counter>): number => c.state.count;
    actor({ state: { count: 1 }, actions: { help: (c) => helper(c) } });
  });
  test("without a state have none", () => {
    actor({
      actions: {
        get: (c) => {
          expectTypeOf(c.state).toEqualTypeOf<undefined>();
          expectTypeOf(c.vars).toEqualTypeOf<undefined>();
        },
      },
    });
  });
  test("that are wrong do not compile", () => {
    // @ts-expect-error -- an unknown part
    actor({ staet: {} });
    // @ts-expect-error -- an action that is none
    actor({ actions: { a: 7 } });
    // @ts-expect-error -- a handler of a queue that is not there
    actor({ queues: { a: queue<number>() }, onMessage: { b: () => {} } });
    // @ts-expect-error -- a wrong reply
    actor({ queues: { a: queue<number, string>() }, onMessage: { a: () => 7 } });
    // @ts-expect-error -- an event that is none
    actor({ events: { a: "string" } });
    // @ts-expect-error -- a wrong option
    actor({ options: { sleepAfter: "1s" } });
    // @ts-expect-error -- a migration without SQL
    db({ migrations: [{ version: 1 }] });
  });
  test("whose state is made by a function have its type, whatever else there is", () => {
    const alone = actor({
      createState: (_c, input: { topic: string }) => ({ topic: input.topic }),
      actions: { rename: (c, topic: string) => (c.state.topic = topic) },
    });
    expectTypeOf<ContextOf<typeof alone>["state"]>().toEqualTypeOf<{ topic: string }>();
    const later = actor({
      createState: async () => ({ n: 1 }),
      createVars: (c) => ({ twice: c.state.n * 2 }),
      run: async (c) => void (c.vars.twice += c.state.n),
      actions: { sum: (c) => c.state.n + c.vars.twice },
    });
    expectTypeOf<ContextOf<typeof later>["vars"]>().toEqualTypeOf<{ twice: number }>();
  });
  test("have arguments as their schemas say", () => {
    const name = {} as StandardSchema<[name: string]>;
    const checked = actor({
      schemas: { actions: { rename: name } },
      createState: (_c, input: { topic: string }) => ({ topic: input.topic }),
      actions: {
        rename: (c, topic: string) => (c.state.topic = topic),
        other: (_c, _n: number) => 1,
      },
    });
    expectTypeOf<Parameters<typeof checked.actions.rename>[1]>().toBeString();
    actor({
      // @ts-expect-error -- the schema of other arguments
      schemas: { actions: { add: name } },
      actions: { add: (_c, by: number) => by },
    });
    actor({
      // @ts-expect-error -- the schema of an action that is not there
      schemas: { actions: { ad: name } },
      actions: { add: (_c, by: string) => by },
    });
  });
  test("have inputs and parameters as their schemas say", () => {
    const input = {} as StandardSchema<{ n: number }>;
    const params = {} as StandardSchema<{ token: string }>;
    const checked = actor({
      schemas: { input, params },
      createState: (_c, given) => ({ twice: given.n * 2 }),
      onBeforeConnect: (_c, given) => void given.token.length,
      actions: { get: (c) => c.state.twice },
    });
    const both = setup({ use: { checked } });
    const client = createClient<typeof both>("http://localhost:6420");
    client.checked.getOrCreate("a", { createWithInput: { n: 1 }, params: { token: "x" } });
    // @ts-expect-error -- a wrong input
    client.checked.getOrCreate("a", { createWithInput: { n: "1" } });
    // @ts-expect-error -- wrong params
    client.checked.getOrCreate("a", { params: {} });
  });
});
