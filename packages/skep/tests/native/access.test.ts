// A server that asks for tokens, and what actors learn from them.

import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Client, createClient } from "@skep/client";
import { afterAll, beforeAll, expect, test } from "vitest";

import { actor, type Server, setup, UserError } from "../../src/index.ts";

const secret = "a secret that is long enough for everybody";

const board = actor({
  onBeforeConnect: (c) => {
    if (c.claims?.["sub"] === "eve") throw new UserError("not eve", { code: "not_eve" });
  },
  onRequest: (c) => Response.json(c.claims?.["sub"]),
  onWebSocket: (c, socket) => {
    socket.send(`${String(c.claims?.["sub"])} ${socket.protocols.join()}`);
    socket.onmessage = () => socket.send(String(c.claims?.["sub"]));
  },
  actions: {
    whoAsks: (c) => c.claims?.["sub"],
    all: (c) => c.claims,
    askAnother: async (c): Promise<unknown> =>
      c.client<typeof registry>().board.getOrCreate("other").whoAsks(),
  },
});
const registry = setup({ use: { board } });

let directory: string;
let server: Server;

function tokenOf(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
const later = (): number => Math.floor(Date.now() / 1000) + 60;

async function withClient(
  token: string | undefined,
  use: (client: Client<typeof registry>) => Promise<void>,
): Promise<void> {
  const client = createClient<typeof registry>(server.url, {
    ...(token !== undefined && { getToken: () => token }),
  });
  await use(client);
  client.dispose();
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-access-"));
  const jwtSecretFile = join(directory, "secret");
  await writeFile(jwtSecretFile, secret);
  server = await registry.start({ store: "memory:", listen: 0, logLevel: "error", jwtSecretFile });
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

test("who shows no token, or an old one, does not get as far as an actor", async () => {
  for (const [token, code] of [
    [undefined, "token_missing"],
    ["x.y.z", "token_invalid"],
    [tokenOf({ exp: 1_000_000_000 }), "token_expired"],
  ] as const) {
    await withClient(token, async (client) => {
      const handle = client.board.getOrCreate("a");
      await expect(handle.whoAsks()).rejects.toMatchObject({ group: "access", code });
      expect((await handle.fetch("/")).status).toBe(401);
    });
  }
});

test("an actor knows the claims of calls, connections and raw requests", async () => {
  await withClient(tokenOf({ sub: "ada", exp: later(), teams: ["x"] }), async (client) => {
    const handle = client.board.getOrCreate("a");
    expect(await handle.whoAsks()).toBe("ada");
    expect(await handle.connect().whoAsks()).toBe("ada");
    expect(await handle.all()).toMatchObject({ sub: "ada", teams: ["x"] });
    expect(await (await handle.fetch("/")).json()).toBe("ada");
    expect(await handle.askAnother()).toBe(null);
  });
});

test("so it does of WebSockets of its own, whose client shows the token as a subprotocol", async () => {
  await withClient(tokenOf({ sub: "ada", exp: later() }), async (client) => {
    const board = client.board.getOrCreate("a");
    for (const [protocols, chosen] of [
      [[], "skep.raw"],
      ["chat.v1", "chat.v1"],
    ] as const) {
      const socket = await board.webSocket("/", protocols);
      const heard: unknown[] = [];
      socket.onmessage = ({ data }) => heard.push(data);
      socket.onopen = () => socket.send("who?");
      while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
      expect([socket.protocol, heard]).toEqual([chosen, [`ada ${chosen}`, "ada"]]);
      socket.close();
    }
  });
  await withClient("x.y.z", async (client) => {
    const socket = await client.board.getOrCreate("a").webSocket("/");
    const events: string[] = [];
    socket.onopen = () => events.push("open");
    socket.onerror = () => {};
    await new Promise((resolve) => (socket.onclose = resolve));
    expect(events).toEqual([]);
  });
});

test("an actor's gate goes by the claims", async () => {
  await withClient(tokenOf({ sub: "eve", exp: later() }), async (client) => {
    const handle = client.board.getOrCreate("a");
    const refused = { group: "user", code: "not_eve" };
    await expect(handle.whoAsks()).rejects.toMatchObject(refused);
    await expect(handle.connect().whoAsks()).rejects.toMatchObject(refused);
    expect((await handle.fetch("/")).status).toBe(400);
  });
});

test("settings that are none are told", async () => {
  const other = setup({ use: { board } });
  await server.stop();
  await expect(other.start({ store: "memory:", listen: 0, threads: 0 })).rejects.toThrow(
    /threads.*range/i,
  );
  await expect(other.start({ store: "memory:", listen: "0.0.0.0:0" })).rejects.toThrow(
    /lets other machines in/,
  );
  server = await other.start({ store: "memory:", listen: 0, logLevel: "error" });
});
