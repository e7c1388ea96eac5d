// The actors of these tests, as a person would write them.

import { actor, db, event, queue, setup, UserError } from "skep";

export interface Message {
  id: number;
  sender: string;
  text: string;
}

export const chatRoom = actor({
  db: db({
    migrations: [
      { version: 1, sql: "CREATE TABLE message(id INTEGER PRIMARY KEY, sender TEXT, text TEXT)" },
      { version: 2, sql: "CREATE INDEX by_sender ON message(sender); CREATE TABLE other(v)" },
    ],
    onMigrate: async (c) => {
      await c.db.execute("INSERT INTO other VALUES ('migrated')");
    },
  }),
  events: { newMessage: event<Message>({ history: 100 }), whisper: event<string>() },
  createState: (_c, input: { topic: string } | undefined) => ({
    topic: input?.topic ?? "",
    count: 0,
    senders: new Set<string>(),
    times: new Map<string, Date>(),
    large: 2n ** 70n,
    raw: new Float32Array([0.5]),
  }),
  vars: { wakes: 0 },
  onBeforeConnect: (c, params: { name: string } | undefined) => {
    if (params?.name === "mallory" && c.request.headers.has("host")) {
      throw new UserError("not you", { code: "not_you" });
    }
  },
  createConnState: (_c, params) => ({ name: params?.name ?? "nobody", sent: 0 }),
  onConnect: (c, conn) => {
    conn.addTag("here");
    for (const other of c.conns.values()) {
      if (other.id !== conn.id) other.send("whisper", `${conn.state.name} came`);
    }
  },
  onDisconnect: (c, conn) => {
    for (const other of c.conns.values()) other.send("whisper", `${conn.state.name} went`);
  },
  actions: {
    send: async (c, sender: string, text: string): Promise<Message> => {
      const [row] = await c.db.execute<Message>(
        "INSERT INTO message(sender, text) VALUES (:sender, :text) RETURNING *",
        { sender, text },
      );
      c.state.count += 1;
      c.state.senders.add(sender);
      c.state.times.set(sender, new Date(5));
      if (c.conn) c.conn.state.sent += 1;
      c.broadcast("newMessage", row!);
      return row!;
    },
    failAfterSend: async (c, sender: string) => {
      await c.db.execute("INSERT INTO message(sender) VALUES (?)", sender);
      c.state.count += 100;
      c.state.senders.add("nobody");
      if (c.conn) c.conn.state.sent += 100;
      c.broadcast("newMessage", { id: 0, sender, text: "never" });
      throw new UserError("as asked", { code: "asked", metadata: { sender } });
    },
    history: async (c) => c.db.execute<Message>("SELECT * FROM message ORDER BY id"),
    migrated: (c) => c.db.executeSync<{ v: string }>("SELECT v FROM other"),
    topic: (c) => c.state.topic,
    look: (c) => {
      const { count, senders, times, large, raw } = c.state;
      return [
        count,
        [...senders],
        [...times].map(([name, at]) => [name, at.getTime()] as const),
        large === 2n ** 70n,
        raw instanceof Float32Array && raw[0] === 0.5,
      ] as const;
    },
    me: (c) => [c.conn?.state, [...(c.conn?.tags ?? [])], c.conns.size] as const,
    kick: (c, reason: string) => c.conn!.disconnect(reason),
    bug: () => {
      throw new Error("a secret");
    },
    badSql: (c) => c.db.execute("SELECT * FROM nowhere"),
    values: async (c, ...values: (null | number | bigint | string | Uint8Array)[]) => {
      const marks = values.map((_, i) => `? AS v${i}`).join(", ");
      const [row] = await c.db.execute(`SELECT ${marks}`, ...values);
      return Object.values(row!);
    },
    transactions: async (c) => {
      const add = (text: string) => c.db.execute("INSERT INTO message(text) VALUES (?)", text);
      await add("before");
      await c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO message(text) VALUES ('kept')");
        await tx
          .transaction(async (inner) => {
            await inner.execute("INSERT INTO message(text) VALUES ('inner')");
            throw new Error("as asked");
          })
          .catch(() => {});
      });
      await c.db
        .transaction(async (tx) => {
          await tx.execute("INSERT INTO message(text) VALUES ('undone')");
          throw new Error("as asked");
        })
        .catch(() => {});
      const rows = await c.db.execute<{ text: string }>("SELECT text FROM message ORDER BY id");
      return rows.map(({ text }) => text);
    },
    halfway: async (c, ms: number) => {
      await c.db.execute("INSERT INTO message(text) VALUES ('before')");
      await c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO message(text) VALUES ('half')");
        await new Promise((resolve) => setTimeout(resolve, ms));
        await tx.execute("INSERT INTO message(text) VALUES ('whole')");
        throw new UserError("as asked", { code: "asked" });
      });
    },
    keptAfterAWait: async (c) => {
      await c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO message(text) VALUES ('half')");
        await new Promise((resolve) => setTimeout(resolve, 20));
        await tx.execute("INSERT INTO message(text) VALUES ('whole')");
      });
      // A turn of its own again.
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new UserError("too late to undo it", { code: "asked" });
    },
    waitsInTransaction: async (c) => {
      const messages: string[] = [];
      const wait = async (what: () => Promise<unknown>): Promise<void> => {
        await what().catch((error: Error) => messages.push(error.message));
      };
      await c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO message(text) VALUES ('whole')");
        await tx.transaction(() => wait(() => c.flush()));
        await wait(() => c.sleepFor(1));
        await wait(() => c.client<typeof registry>().page.getOrCreate("k").resolve());
        await wait(() => c.kv.put("a", 1));
      });
      await wait(() => c.flush());
      return messages;
    },
    forever: (c) =>
      new Promise<void>((resolve) => c.abortSignal.addEventListener("abort", () => resolve())),
    pairs: async (c) => {
      await c.kv.put("a/1", new Map([[1, new Date(7)]]));
      await c.kv.put("a/2", 2n);
      await c.kv.put("b", null);
      const [[key, map]] = (await c.kv.list<Map<number, Date>>({ prefix: "a/", limit: 1 })) as [
        [string, Map<number, Date>],
      ];
      return [
        key,
        map.get(1)?.getTime(),
        (await c.kv.list({ prefix: "a/", after: "a/1" })).map(([each, value]) => [
          each,
          value === 2n,
        ]),
        await c.kv.get("b"),
        await c.kv.delete("b"),
        (await c.kv.get("b")) ?? "gone",
      ];
    },
  },
  options: { sleepAfter: 200, actionTimeout: 3_000 },
});

export const worker = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE done(what TEXT)" }] }),
  events: { happened: event<string>() },
  queues: { handled: queue<{ n: number }, number>({ triesMax: 2 }), read: queue<string, string>() },
  state: { ran: [] as string[], tries: 0 },
  run: async (c) => {
    for await (const message of c.queue.iter("read")) {
      await c.db.execute("INSERT INTO done VALUES (?)", `read ${message.body}`);
      await message.complete(message.body.toUpperCase());
      c.broadcast("happened", message.body);
    }
  },
  onMessage: {
    handled: async (c, body) => {
      c.state.tries += 1;
      if (body.n < 0) throw new UserError("negative");
      await c.db.execute("INSERT INTO done VALUES (?)", `handled ${body.n}`);
      return body.n * 2;
    },
  },
  actions: {
    done: async (c) =>
      (await c.db.execute<{ what: string }>("SELECT what FROM done")).map(({ what }) => what),
    enqueue: (c, text: string) => c.queue.send("read", text),
    remind: async (c, ms: number, what: string) => {
      const id = await c.schedule.after(ms, "happen", what, new Date(3));
      const timer = await c.schedule.get(id);
      return [timer?.action, timer?.args[0], timer!.at >= c.now()] as const;
    },
    plan: async (c) => {
      await c.cron.set({ name: "daily", expression: "0 8 * * *", action: "happen", args: ["job"] });
      await c.cron.every({
        name: "often",
        interval: 50,
        action: "happen",
        args: ["tick", new Date(3)],
      });
      return (await c.cron.list()).map(({ name, expression, interval }) => [
        name,
        expression,
        interval,
      ]);
    },
    unplan: (c) => c.cron.remove("often"),
    runs: async (c) => (await c.cron.history("often")).filter(({ error }) => error === null).length,
    happen: (c, what: string, at: Date) => {
      if (at.getTime() !== 3) throw new Error("the date did not survive");
      c.state.ran.push(what);
    },
    ran: (c) => c.state.ran,
    badTimer: (c) => c.schedule.after(1, "nope"),
    waits: async (c) => {
      c.state.ran.push("before");
      await c.sleepFor(20);
      return c.state.ran;
    },
    slowly: async (c) => {
      const { ran } = c.state;
      ran.push("before");
      // Until the other call has come and failed.
      while (c.state.tries < 1) await c.sleepFor(5);
      ran.push("after");
    },
    failBetween: (c) => {
      c.state.ran.push("never");
      c.state.tries = 50;
      throw new UserError("as asked", { code: "asked" });
    },
    release: (c) => void (c.state.tries += 1),
    ask: async (c, name: string): Promise<number> => {
      const client = c.client<typeof registry>();
      await client.chatRoom.getOrCreate(name).send("worker", "hello");
      const all = await client.chatRoom.get(name).history();
      await client.worker.getOrCreate("other").queue.handled.send({ n: all.length });
      return all.length;
    },
    askNobody: async (c): Promise<string> => {
      const error = await c
        .client<typeof registry>()
        .chatRoom.get("nobody")
        .history()
        .catch((each: { code: string }) => each);
      return (error as { code: string }).code;
    },
    make: async (c, name: string): Promise<[string, string]> => {
      const client = c.client<typeof registry>();
      const room = await client.chatRoom.create(name, { input: { topic: "bees" } });
      const again = await client.chatRoom
        .create(name)
        .then(String, (error: { code: string }) => error.code);
      await client.chatRoom.get(name).resolve();
      await client.chatRoom.getOrCreate(`${name}-other`).resolve();
      const missing = await client.chatRoom
        .get(`${name}-missing`)
        .resolve()
        .then(String, (error: { code: string }) => error.code);
      return [await room.topic(), `${again} ${missing}`];
    },
    pass: (c, name: string): Promise<unknown> =>
      c.client<typeof registry>().chatRoom.getOrCreate(name).bug(),
    remove: (c) => c.destroy(),
  },
  options: { sleepAfter: 200 },
});

export const page = actor({
  state: { visits: 0 },
  onBeforeConnect: (c) => {
    if (c.request.headers.get("x-name") === "mallory")
      throw new UserError("not you", { code: "not_you" });
  },
  onRequest: async (c, request) => {
    const { pathname } = new URL(request.url);
    c.state.visits += 1;
    if (pathname === "/json") {
      return Response.json(
        { method: request.method, body: await request.text(), visits: c.state.visits },
        { status: 201 },
      );
    }
    if (pathname === "/stream") {
      const parts = ["one ", "two ", "three"];
      const stream = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          const part = parts.shift();
          if (part === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(part));
        },
      });
      return new Response(stream, { headers: { "content-type": "text/plain" } });
    }
    if (pathname === "/fail") throw new UserError("not this", { code: "not_this" });
    return undefined;
  },
});

export const registry = setup({ use: { chatRoom, worker, page } });
