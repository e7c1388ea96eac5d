import { randomUUID } from "node:crypto";

import { createClient } from "@skep/client";
import { createSkep, type Skep } from "@skep/react";
import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, inject, test } from "vitest";

import { FakeServer, type Peer } from "../../../testing/packages/fake_server.ts";
import type { Registry } from "../../../testing/packages/registry.ts";
import { mount } from "./mount.tsx";

let server: FakeServer;
let skep: Skep<Registry>;
beforeEach(async () => {
  server = await FakeServer.start();
  skep = createSkep(
    createClient<Registry>(server.url, { backoff: { minMs: 1, maxMs: 2 }, retries: 0 }),
  );
});
afterEach(async () => {
  skep.client.dispose();
  await server.stop();
});

let refresh = (): void => {};
function Values({ a, enabled = true }: { a: number; enabled?: boolean }): React.ReactNode {
  const values = skep.useActor({ name: "values", key: "k", enabled });
  const sum = skep.useActorQuery(values, {
    action: "add",
    args: [a, 1],
    refreshOn: ["echoed"],
    enabled,
  });
  refresh = sum.refresh;
  return `${sum.isLoading ? "loading" : "done"} ${sum.data} ${sum.error?.code ?? "-"}`;
}
async function welcomeNext(): Promise<Peer> {
  const peer = await server.next();
  await peer.welcome();
  return peer;
}

test("a query is a call, and another one after each event", async () => {
  const page = mount(<Values a={1} />);
  expect(page.text()).toBe("loading undefined -");
  const peer = await welcomeNext();
  expect(await peer.reply(2)).toMatchObject({ action: "add", args: [1, 1] });
  await page.until("done 2 -");
  peer.send({ type: "event", name: "echoed", value: 0 });
  await peer.reply(3);
  await page.until("done 3 -");
  peer.send({ type: "missed", stream: "s", seq: 9 });
  await peer.reply(4);
  await page.until("done 4 -");
  refresh();
  await peer.reply(5);
  await page.until("done 5 -");
  expect(peer.waiting).toEqual([]);
});

test("events during a call lead to one more", async () => {
  const page = mount(<Values a={1} />);
  const peer = await welcomeNext();
  const { id } = await peer.next();
  for (let i = 0; i < 5; ++i) peer.send({ type: "event", name: "echoed", value: 0 });
  peer.send({ type: "reply", id, result: 2 });
  await peer.reply(3);
  await page.until("done 3 -");
  expect(peer.waiting).toEqual([]);
});

test("another argument is another query: what was known belongs to the old one", async () => {
  const page = mount(<Values a={1} />);
  const peer = await welcomeNext();
  const old = await peer.next();
  page.show(<Values a={2} />);
  expect(page.text()).toBe("loading undefined -");
  const { id, args } = await peer.next();
  expect(args).toEqual([2, 1]);
  peer.send({ type: "reply", id, result: 3 });
  peer.send({ type: "reply", id: old["id"], result: 2 });
  await page.until("done 3 -");
  // The same argument, in a new array: nothing happens.
  page.show(<Values a={2} />);
  const pong = new Promise((resolve) => peer.socket.once("pong", resolve));
  peer.socket.ping();
  await pong;
  expect(peer.waiting).toEqual([]);
});

test("a query that fails keeps what it had", async () => {
  const page = mount(<Values a={1} />);
  const peer = await welcomeNext();
  await peer.reply(2);
  await page.until("done 2 -");
  const fail = async (): Promise<void> => {
    const { id } = await peer.next();
    peer.send({
      type: "error",
      id,
      error: { group: "user", code: "not_today", message: "no" },
      retry: false,
    });
  };
  peer.send({ type: "event", name: "echoed", value: 0 });
  await fail();
  await page.until("done 2 not_today");
  refresh();
  await peer.reply(3);
  await page.until("done 3 -");
});

test("a query whose connection is lost is asked again", async () => {
  const page = mount(<Values a={1} />);
  const first = await welcomeNext();
  await first.next();
  first.cut();
  const second = await welcomeNext();
  await second.reply(2);
  await page.until("done 2 -");
});

test("a query that failed is asked again with the next connection", async () => {
  const page = mount(<Values a={1} />);
  const first = await welcomeNext();
  const { id } = await first.next();
  first.send({
    type: "error",
    id,
    error: { group: "actor", code: "overloaded", message: "" },
    retry: true,
  });
  await page.until("done undefined overloaded");
  first.cut();
  await (await welcomeNext()).reply(2);
  await page.until("done 2 -");
});

test("a query in StrictMode is asked, and one that is not enabled is not", async () => {
  const page = mount(
    <StrictMode>
      <Values a={1} enabled={false} />
    </StrictMode>,
  );
  expect(page.text()).toBe("done undefined -");
  page.show(
    <StrictMode>
      <Values a={1} />
    </StrictMode>,
  );
  const peer = await welcomeNext();
  await peer.reply(2);
  await page.until("done 2 -");
  page.unmount();
  await peer.closed;
});

test("a query on a server is one that loads", () => {
  expect(renderToString(<Values a={1} />)).toBe("loading undefined -");
});

test("two components of one actor stay fresh with a real server", async () => {
  const live = createSkep<Registry>(inject("serverUrl"));
  const key = randomUUID();
  function History(): React.ReactNode {
    const room = live.useActor({ name: "chat", key });
    const history = live.useActorQuery(room, { action: "history", refreshOn: ["message"] });
    return <i>{`[${history.data?.map(({ text }) => text).join()}]`}</i>;
  }
  const page = mount([<History key="1" />, <History key="2" />]);
  await page.until("[][]");
  const room = live.client.chat.getOrCreate(key);
  for (let i = 0; i < 20; ++i) await room.send("ada", `${i}`);
  const all = Array.from({ length: 20 }, (_, i) => i).join();
  await page.until(`[${all}][${all}]`);
  live.client.dispose();
});
