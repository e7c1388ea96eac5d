// onWebSocket on the real addon, with clients that are WebSockets of the package "ws".

import { once } from "node:events";
import { connect } from "node:net";

import { createClient } from "@skep/client";
import { actor, db, type ActorWebSocket, type Server, setup, UserError } from "skep";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";

import { key, until } from "./waiting.ts";

/** What closes said, by key. */
const closes = new Map<string, [code: number, reason: string, wasClean: boolean][]>();

const lobby = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT)" }] }),
  state: { heard: 0 },
  createVars: () => ({ sockets: new Set<ActorWebSocket>(), buffered: 0, isFilling: true, order: [] as string[] }),
  onBeforeConnect: (c) => {
    if (c.request.headers.get("x-name") === "mallory") throw new UserError("not you", { code: "not_you" });
  },
  onWebSocket: async (c, socket, request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/refuse") throw new UserError("full", { code: "full" });
    if (pathname === "/late") {
      await c.sleepFor(5);
      throw new UserError("too late", { code: "late" });
    }
    if (pathname === "/welcome") {
      const [row] = await c.db.execute<{ n: number }>("SELECT count(*) AS n FROM line");
      socket.send(`${row!.n} lines, ${searchParams.get("name")}`);
    }
    if (pathname === "/flood") {
      for (let i = 0; i < 40; ++i) socket.send(new Uint8Array(256 * 1024));
    }
    if (pathname === "/fill") {
      // Until the system keeps no more of a connection that nobody reads.
      for (let last = -1, same = 0; same < 5; await c.sleepFor(20)) {
        while (socket.bufferedAmount < 3 * 1024 * 1024) socket.send(new Uint8Array(256 * 1024));
        same = socket.bufferedAmount === last ? same + 1 : 0;
        last = socket.bufferedAmount;
      }
      c.vars.buffered = socket.bufferedAmount;
      // And should it take more after all.
      while (c.vars.isFilling) {
        while (socket.bufferedAmount < 2 * 1024 * 1024) socket.send(new Uint8Array(256 * 1024));
        await c.sleepFor(5);
      }
    }
    if (pathname === "/question") {
      socket.accept();
      socket.send("who are you?");
      const name = await new Promise((resolve) =>
        socket.addEventListener("message", ({ data }) => resolve(data), { once: true }),
      );
      socket.send(`hello ${String(name)}`);
    }
    if (pathname === "/blob") socket.binaryType = "blob";
    if (pathname === "/chosen") socket.accept("b");
    c.vars.sockets.add(socket);
    socket.onmessage = async ({ data }) => {
      if (data instanceof Blob) return socket.send(`blob of ${data.size}`);
      if (data instanceof ArrayBuffer) return socket.send(new Uint8Array(data).reverse());
      if (data === "close") return socket.close(4001, "as asked");
      if (data === "claims") return socket.send(JSON.stringify(c.claims ?? null));
      if (data === "slow") {
        c.vars.order.push("begin");
        await c.sleepFor(10);
        c.vars.order.push("end");
        return;
      }
      c.state.heard += 1;
      await c.db.execute("INSERT INTO line(text) VALUES (?)", data);
      socket.send(`you said ${data}`);
      if (data === "throw") throw new UserError("as asked", { code: "asked" });
      if (data === "bug") void Promise.resolve().then(() => c.db.execute("SELECT * FROM nowhere"));
    };
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      c.vars.sockets.delete(socket);
      closes.set(c.key[0]!, [...(closes.get(c.key[0]!) ?? []), [code, reason, wasClean]]);
    });
  },
  actions: {
    look: async (c) => [
      c.state.heard,
      (await c.db.execute<{ text: string }>("SELECT text FROM line ORDER BY id")).map(({ text }) => text),
      c.vars.sockets.size,
    ],
    order: (c) => c.vars.order,
    buffered: (c) => c.vars.buffered,
    stopFilling: (c) => void (c.vars.isFilling = false),
    tell: async (c, text: string, fails: boolean) => {
      await c.db.execute("INSERT INTO line(text) VALUES (?)", text);
      for (const socket of c.vars.sockets) socket.with(c).send(text);
      if (fails) throw new UserError("as asked", { code: "asked" });
    },
    tellLater: (c, text: string) => c.vars.sockets.forEach((socket) => socket.send(text)),
    kick: (c) => c.vars.sockets.forEach((socket) => socket.with(c).close(4002, "kicked")),
    nap: (c) => c.sleep(),
    end: (c) => c.destroy(),
  },
  options: { sleepAfter: 100, actionTimeout: 5_000 },
});

const queued = actor({
  vars: { order: [] as string[] },
  onWebSocket: (c, socket) => {
    socket.onmessage = async ({ data }) => {
      c.vars.order.push(`begin ${String(data)}`);
      await c.sleepFor(5);
      c.vars.order.push(`end ${String(data)}`);
      socket.send("done");
    };
  },
  actions: {
    order: async (c, name: string) => {
      c.vars.order.push(`begin ${name}`);
      await c.sleepFor(5);
      c.vars.order.push(`end ${name}`);
      return c.vars.order;
    },
  },
  options: { oneAtATime: true },
});

const careless = actor({
  onWebSocket: (_c, socket) => {
    const errors: string[] = [];
    const attempt = (what: () => void): void => {
      try {
        what();
      } catch (error) {
        errors.push((error as Error).message);
      }
    };
    attempt(() => socket.accept("unknown"));
    attempt(() => socket.send({} as never));
    attempt(() => socket.close(1001));
    attempt(() => socket.close(70_000));
    attempt(() => socket.close(4000, "x".repeat(124)));
    attempt(() => socket.addEventListener("open" as never, () => {}));
    socket.accept();
    attempt(() => socket.accept());
    socket.send(JSON.stringify(errors));
    socket.close();
    socket.send("nobody gets it");
  },
});

const plain = actor({});
const registry = setup({ use: { lobby, queued, careless, plain } });
let server: Server;
let client: ReturnType<typeof createClient<typeof registry>>;

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  server = await registry.start({ store: "memory:", listen: 0, signals: false, logLevel: "error" });
  client = createClient<typeof registry>(server.url, { WebSocket: WebSocket as never });
});
const opened: WebSocket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.terminate();
});
afterAll(async () => {
  client.dispose();
  await server.stop();
  vi.restoreAllMocks();
});

/** A client's end, which keeps what it hears. */
class Client {
  readonly heard: (string | Buffer)[] = [];
  readonly closed: Promise<[code: number, reason: string]>;
  readonly socket: WebSocket;
  constructor(socket: WebSocket) {
    this.socket = socket;
    opened.push(socket);
    socket.on("message", (data: Buffer, isBinary) => this.heard.push(isBinary ? data : String(data)));
    socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      socket.on("close", (code, reason) => resolve([code, String(reason)])),
    );
  }
  async hears(how: number): Promise<(string | Buffer)[]> {
    await until(() => this.heard.length >= how);
    return this.heard;
  }
  static async to(name: string, path = "/", protocols: string[] = []): Promise<Client> {
    const it = new Client((await client.lobby.getOrCreate(name).webSocket(path, protocols)) as never);
    await once(it.socket, "open");
    return it;
  }
}
const urlOf = (path: string): string => `${server.url.replace("http", "ws")}/actors/${path}`;
const refusal = async (url: string, headers = {}): Promise<[number, unknown]> => {
  const socket = new WebSocket(url, { headers });
  socket.on("error", () => {}); // of the end below
  const [request, response] = (await once(socket, "unexpected-response")) as [
    { destroy(): void },
    AsyncIterable<Buffer> & { statusCode: number },
  ];
  const parts = [];
  for await (const part of response) parts.push(part);
  request.destroy();
  return [response.statusCode, JSON.parse(String(Buffer.concat(parts)))];
};

test("each message is a turn: what it writes and what it answers go together", async () => {
  const name = key();
  const ada = await Client.to(name);
  ada.socket.send("one");
  ada.socket.send("two");
  expect(await ada.hears(2)).toEqual(["you said one", "you said two"]);
  expect(await client.lobby.get(name).look()).toEqual([2, ["one", "two"], 1]);
  ada.socket.send(Buffer.from([1, 2, 3]));
  expect((await ada.hears(3))[2]).toEqual(Buffer.from([3, 2, 1]));
  const blob = await Client.to(name, "/blob");
  blob.socket.send(Buffer.alloc(7));
  expect(await blob.hears(1)).toEqual(["blob of 7"]);
});

test("the handler may ask the database first, and read messages by itself", async () => {
  const name = key();
  const ada = await Client.to(name, "/welcome?name=ada");
  expect(await ada.hears(1)).toEqual(["0 lines, ada"]);
  const bob = await Client.to(name, "/question");
  expect(await bob.hears(1)).toEqual(["who are you?"]);
  bob.socket.send("bob");
  expect((await bob.hears(2))[1]).toBe("hello bob");
});

test("a client is refused by the handler, by onBeforeConnect, and by actors that have no handler", async () => {
  const name = key();
  const user = (code: string): unknown => expect.objectContaining({ group: "user", code });
  expect(await refusal(urlOf(`lobby/${name}/request/refuse`))).toEqual([400, user("full")]);
  expect(await refusal(urlOf(`lobby/${name}/request/late`))).toEqual([400, user("late")]);
  expect(await refusal(urlOf(`lobby/${name}/request/`), { "x-name": "mallory" })).toEqual([
    400,
    user("not_you"),
  ]);
  expect((await refusal(urlOf(`plain/${name}/request/`)))[0]).toBe(404);
});

test("subprotocols: the first that the client offers, or the one that is chosen", async () => {
  const name = key();
  expect((await Client.to(name, "/", ["a", "b"])).socket.protocol).toBe("a");
  expect((await Client.to(name, "/chosen", ["a", "b"])).socket.protocol).toBe("b");
  expect((await Client.to(name)).socket.protocol).toBe("");
});

test("both sides close, with a code and a reason, and the actor hears how it ended", async () => {
  const name = key();
  const ada = await Client.to(name);
  ada.socket.send("close");
  expect(await ada.closed).toEqual([4001, "as asked"]);
  const bob = await Client.to(name);
  bob.socket.close(4005, "enough");
  expect((await bob.closed)[0]).toBe(4005);
  const eve = await Client.to(name);
  eve.socket.terminate();
  await until(() => closes.get(name)?.length === 3);
  expect(closes.get(name)).toEqual([
    [4001, "as asked", true],
    [4005, "enough", true],
    [1006, expect.any(String), false],
  ]);
  expect(await client.lobby.get(name).look()).toEqual([0, [], 0]);
});

test("what a listener throws undoes its turn and closes with 1011; the actor and the others go on", async () => {
  const name = key();
  const ada = await Client.to(name);
  const bob = await Client.to(name);
  ada.socket.send("kept");
  await ada.hears(1);
  ada.socket.send("throw");
  expect(await ada.closed).toEqual([1011, "user.asked: as asked"]);
  expect(ada.heard).toEqual(["you said kept"]);
  bob.socket.send("bug");
  const [code, reason] = await bob.closed;
  expect([code, reason]).toEqual([1011, expect.stringContaining("internal")]);
  const carl = await Client.to(name);
  carl.socket.send("still here");
  expect(await carl.hears(1)).toEqual(["you said still here"]);
  expect((await client.lobby.get(name).look())[1]).toEqual(expect.arrayContaining(["kept", "still here"]));
  expect((await client.lobby.get(name).look())[1]).not.toContain("throw");
});

test("other code of the actor sends with its own turn, or with the WebSocket's", async () => {
  const name = key();
  const ada = await Client.to(name);
  const room = client.lobby.get(name);
  await room.tell("hello", false);
  await expect(room.tell("never", true)).rejects.toMatchObject({ code: "asked" });
  await room.tellLater("later");
  expect(await ada.hears(2)).toEqual(["hello", "later"]);
  expect((await room.look())[1]).toEqual(["hello"]);
  await room.kick();
  expect(await ada.closed).toEqual([4002, "kicked"]);
});

test("a client that does not read is not read from, and is closed when far too much is on its way", async () => {
  const name = key();
  const slow = await rawClient(name, "fill");
  await until(async () => (await client.lobby.getOrCreate(name).buffered()) > 0);
  slow.send("hidden");
  // Another one's messages are handled meanwhile.
  const other = await Client.to(name);
  other.socket.send("seen");
  await other.hears(1);
  expect((await client.lobby.get(name).look())[1]).toEqual(["seen"]);
  await client.lobby.get(name).stopFilling();
  slow.read();
  await until(async () => (await client.lobby.get(name).look())[0] === 2);
  const flood = await rawClient(name, "flood");
  await until(() => closes.get(name)?.length === 1);
  expect(closes.get(name)).toEqual([[1006, expect.stringContaining("does not take"), false]]);
  flood.end();
  slow.end();
});

test("it keeps the actor awake, and ends when the actor sleeps, is destroyed or the client is gone", async () => {
  const name = key();
  const ada = await Client.to(name);
  await new Promise((resolve) => setTimeout(resolve, 300)); // beyond sleepAfter
  ada.socket.send("awake");
  await ada.hears(1);
  expect((await client.lobby.get(name).look())[2]).toBe(1);
  await client.lobby.get(name).nap();
  expect((await ada.closed)[0]).toBe(1001);
  expect(await client.lobby.get(name).look()).toEqual([1, ["awake"], 0]);
  const bob = await Client.to(name);
  await client.lobby.get(name).end();
  expect((await bob.closed)[0]).toBe(1008);
});

test("in an actor that runs one call at a time each message is a call", async () => {
  const name = key();
  const socket = new WebSocket(urlOf(`queued/${name}/request/`));
  opened.push(socket);
  await once(socket, "open");
  let done = 0;
  socket.on("message", () => ++done);
  for (const each of ["a", "b", "c"]) socket.send(each);
  const replies = await Promise.all(["x", "y"].map((each) => client.queued.getOrCreate(name).order(each)));
  await until(() => done === 3);
  const order = await client.queued.getOrCreate(name).order("z");
  expect(replies).toHaveLength(2);
  expect(order).toHaveLength(12);
  for (let i = 0; i < order.length; i += 2) {
    expect(order[i + 1]).toBe(order[i]!.replace("begin", "end"));
  }
});

test("mistakes of the code are told to it", async () => {
  const socket = new WebSocket(urlOf(`careless/${key()}/request/`));
  opened.push(socket);
  const [data] = (await once(socket, "message")) as [Buffer];
  expect(JSON.parse(String(data))).toEqual([
    expect.stringContaining("does not offer the subprotocol 'unknown'"),
    expect.stringContaining("sends a string"),
    expect.stringContaining("closed with 1000 or"),
    expect.stringContaining("closed with 1000 or"),
    expect.stringContaining("at most 123 bytes"),
    expect.stringContaining('the events "message" and "close"'),
    expect.stringContaining("accepted already"),
  ]);
});

/** A client that does not read until it is told to. */
async function rawClient(name: string, path: string) {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(
    `GET /actors/lobby/${name}/request/${path} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: upgrade\r\n` +
      "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  socket.on("error", () => {});
  return {
    /** A masked text frame. */
    send: (text: string) =>
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])),
    read: () => socket.resume(),
    end: () => socket.destroy(),
  };
}
