import { randomUUID } from "node:crypto";

import { type AnyRegistry, type Client, createClient } from "@skep/client";
import { createSkep, type Skep } from "@skep/react";
import { StrictMode, Suspense, startTransition, useState, version } from "react";
import { flushSync } from "react-dom";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, inject, test, vi } from "vitest";

import { FakeServer } from "../../../testing/packages/fake_server.ts";
import type { Registry } from "../../../testing/packages/registry.ts";
import { SharedActors } from "../src/shared_actor.ts";
import { hydrate, mount } from "./mount.tsx";

test("these tests run on the version of React that their project names", () => {
  expect(version.split(".")[0]).toBe(process.env["REACT_MAJOR"]);
});

describe("with a server", () => {
  let skep: Skep<Registry>;
  beforeEach(() => {
    skep = createSkep<Registry>(inject("serverUrl"), { backoff: { minMs: 1, maxMs: 10 } });
  });
  afterEach(() => skep.client.dispose());

  test("a component shows what happens in its actor, and acts on it", async () => {
    const key = randomUUID();
    let sent: Promise<unknown> | undefined;
    function Room(): React.ReactNode {
      const [texts, setTexts] = useState<string[]>([]);
      const room = skep.useActor({ name: "chat", key: [key] });
      room.useEvent("message", ({ text }) => setTexts((all) => [...all, text]));
      return (
        <button onClick={() => (sent = room.connection?.send("ada", `t${texts.length}`))}>
          {room.connStatus}: {texts.join()}
        </button>
      );
    }
    const page = mount(<Room />);
    await page.until("connected: ");
    const other = skep.client.chat.getOrCreate(key);
    await other.send("eve", "hello");
    await page.until("connected: hello");
    document.body.append(page.element);
    page.element.querySelector("button")!.click();
    await page.until("connected: hello,t1");
    expect(await sent).toMatchObject({ sender: "ada", text: "t1" });
    page.element.remove();
  });

  test("a refusal is shown, and stays", async () => {
    function Club(): React.ReactNode {
      const { connStatus, error } = skep.useActor({
        name: "club",
        key: "c",
        params: { name: "bob" },
      });
      return `${connStatus} ${error?.code}`;
    }
    await mount(<Club />).until("disconnected name_taken");
  });

  test("a key that is none is shown as an error, until there is one", async () => {
    const key = randomUUID();
    function Counter({ id }: { id: string }): React.ReactNode {
      const { connStatus, error } = skep.useActor({ name: "counter", key: [id] });
      return `${connStatus} ${error?.code}`;
    }
    const page = mount(<Counter id="" />);
    await page.until("disconnected invalid_address");
    page.show(<Counter id={key} />);
    await page.until("connected undefined");
  });

  test("an actor that is not to be made is not, and others get their input", async () => {
    const key = randomUUID();
    function Counter({ noCreate }: { noCreate: boolean }): React.ReactNode {
      const counter = skep.useActor({
        name: "counter",
        key,
        noCreate,
        createWithInput: { start: 5 },
      });
      const { data } = skep.useActorQuery(counter, { action: "value" });
      return `${counter.error?.code} ${data}`;
    }
    const page = mount(<Counter noCreate />);
    await page.until("not_found undefined");
    page.show(<Counter noCreate={false} />);
    await page.until("undefined 5");
  });

  test("a handle calls without a connection", async () => {
    const key = randomUUID();
    function Counter(): React.ReactNode {
      const { handle, connection } = skep.useActor({ name: "counter", key, enabled: false });
      const [value, setValue] = useState(0);
      return (
        <b onClick={() => void handle.increment(3).then(setValue)}>{`${value} ${connection}`}</b>
      );
    }
    const page = mount(<Counter />);
    document.body.append(page.element);
    page.element.querySelector("b")!.click();
    await page.until("3 null");
    page.element.remove();
  });
});

describe("connections", () => {
  let server: FakeServer;
  let client: Client<Registry>;
  let skep: Skep<Registry>;
  beforeEach(async () => {
    server = await FakeServer.start();
    client = createClient<Registry>(server.url, { backoff: { minMs: 1, maxMs: 2 } });
    skep = createSkep(client);
  });
  afterEach(async () => {
    client.dispose();
    await server.stop();
  });

  function Counter({
    id = "k",
    name,
    enabled = true,
  }: {
    id?: string;
    name?: string;
    enabled?: boolean;
  }): React.ReactNode {
    const [seen, setSeen] = useState<unknown[]>([]);
    const counter = skep.useActor({
      name: "counter",
      key: [id],
      params: { name, list: [1, { a: 2n }] },
      enabled,
    });
    counter.useEvent("changed", (value) => setSeen((all) => [...all, value]));
    return <i>{`[${id} ${counter.connStatus} ${seen.join()}]`}</i>;
  }

  test("of equal options are one, which ends with the last component that wants it", async () => {
    const page = mount([<Counter key="1" />, <Counter key="2" />, <Counter key="3" />]);
    const peer = await server.next();
    expect(await peer.welcome()).toMatchObject({ subscribe: ["changed"] });
    await page.until("[k connected ][k connected ][k connected ]");
    page.show([<Counter key="2" />]);
    peer.send({ type: "event", name: "changed", value: 1 });
    await page.until("[k connected 1]");
    page.show([]);
    expect(await peer.closed).toBe(1000);
    expect(server.upgradeCount).toBe(1);
  });

  test("of other options are others", async () => {
    mount([<Counter key="1" />, <Counter key="2" id="l" />, <Counter key="3" name="ada" />]);
    const peers = [await server.next(), await server.next(), await server.next()];
    expect(peers.map(({ request }) => request.url).sort()).toEqual([
      "/actors/counter/k/connect",
      "/actors/counter/k/connect",
      "/actors/counter/l/connect",
    ]);
  });

  test("survive StrictMode, which mounts everything twice", async () => {
    const page = mount(
      <StrictMode>
        <Counter />
      </StrictMode>,
    );
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    peer.send({ type: "event", name: "changed", value: 1 });
    await page.until("[k connected 1]");
    expect(server.upgradeCount).toBe(1);
    page.unmount();
    await peer.closed;
  });

  test("survive that one component hands them on to another", async () => {
    const page = mount(<Counter key="one" />);
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    page.show(<Counter key="other" />);
    expect(page.text()).toBe("[k connected ]");
    peer.send({ type: "event", name: "changed", value: 1 });
    await page.until("[k connected 1]");
    expect(server.upgradeCount).toBe(1);
  });

  test("come again when what was hidden is shown again, without a render", async () => {
    const actor = new SharedActors(client as unknown as Client<AnyRegistry>).get({ name: "counter", key: "k" });
    const heard: unknown[] = [];
    const stop = actor.on("changed", (value) => heard.push(value));
    for (let i = 0; i < 3; ++i) {
      const hide = actor.subscribe(() => {});
      const peer = await server.next();
      expect(await peer.welcome()).toMatchObject({ subscribe: ["changed"] });
      peer.send({ type: "event", name: "changed", value: i });
      await vi.waitUntil(() => heard.length > i);
      expect(actor.getSnapshot().connStatus).toBe("connected");
      hide();
      await peer.closed;
      expect(actor.getSnapshot()).toEqual({ connection: null, connStatus: "idle", error: null });
    }
    stop();
    expect(heard).toEqual([0, 1, 2]);
  });

  test("change with their key", async () => {
    const page = mount(<Counter id="a" />);
    const a = await server.next();
    await a.welcome();
    await page.until("[a connected ]");
    page.show(<Counter id="b" />);
    expect(page.text()).toBe("[b connecting ]");
    await a.closed;
    const b = await server.next();
    await b.welcome();
    b.send({ type: "event", name: "changed", value: 1 });
    await page.until("[b connected 1]");
  });

  test("are made when they are enabled", async () => {
    const page = mount(<Counter enabled={false} />);
    expect(page.text()).toBe("[k idle ]");
    page.show(<Counter />);
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    page.show(<Counter enabled={false} />);
    expect(page.text()).toBe("[k idle ]");
    await peer.closed;
    expect(server.upgradeCount).toBe(1);
  });

  test("are not made on a server, and are in the browser that goes on from there", async () => {
    const html = renderToString(<Counter />);
    expect(html).toBe("<i>[k idle ]</i>");
    const errors: unknown[] = [];
    const consoleError = vi
      .spyOn(console, "error")
      .mockImplementation((...all) => void errors.push(all));
    const page = hydrate(html, <Counter />, (error) => errors.push(error));
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    expect(errors).toEqual([]);
    expect(server.upgradeCount).toBe(1);
    consoleError.mockRestore();
  });

  test("are not made by a render that waits for something else, and are once it is there", async () => {
    let arrive = (): void => {};
    let isThere = false;
    const data = new Promise<void>((resolve) => {
      arrive = () => {
        isThere = true;
        resolve();
      };
    });
    function Slow(): React.ReactNode {
      const node = Counter({});
      if (!isThere) throw data;
      return node;
    }
    const page = mount(
      <StrictMode>
        <Suspense fallback="wait">
          <Slow />
        </Suspense>
      </StrictMode>,
    );
    expect(page.text()).toBe("wait");
    arrive();
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    expect(server.upgradeCount).toBe(1);
  });

  test("stay while their component is hidden by what it waits for", async () => {
    const waits = new Map<string, { promise: Promise<void>; isThere: boolean; arrive(): void }>();
    function read(what: string): void {
      let entry = waits.get(what);
      if (!entry) {
        let arrive = (): void => {};
        const promise = new Promise<void>((resolve) => (arrive = resolve));
        entry = { promise, isThere: false, arrive: () => ((entry!.isThere = true), arrive()) };
        waits.set(what, entry);
      }
      if (!entry.isThere) throw entry.promise;
    }
    let ask: (what: string) => void = () => {};
    function Page(): React.ReactNode {
      const node = Counter({});
      const [what, setWhat] = useState("");
      ask = setWhat;
      if (what) read(what);
      return node;
    }
    const page = mount(
      <Suspense fallback="wait">
        <Page />
      </Suspense>,
    );
    const peer = await server.next();
    await peer.welcome();
    await page.until("[k connected ]");
    flushSync(() => ask("urgent"));
    await page.until(/wait/);
    startTransition(() => ask("later"));
    waits.get("urgent")!.arrive();
    await vi.waitUntil(() => waits.has("later"));
    waits.get("later")!.arrive();
    await vi.waitUntil(() => !page.text().includes("wait"));
    peer.send({ type: "event", name: "changed", value: 1 });
    await page.until("[k connected 1]");
    expect(server.upgradeCount).toBe(1);
  });

  test("show that they are lost, why, and that they are back", async () => {
    const seen: string[] = [];
    function Shown(): React.ReactNode {
      const { connStatus, error } = skep.useActor({ name: "counter", key: "k" });
      const text = `${connStatus} ${error?.code ?? "-"}`;
      if (seen.at(-1) !== text) seen.push(text);
      return text;
    }
    const page = mount(<Shown />);
    const first = await server.next();
    await first.welcome();
    await page.until("connected -");
    server.answerAll(503);
    first.cut();
    await page.until(/network/);
    server.onUpgrade = () => true;
    await (await server.next()).welcome();
    await page.until("connected -");
    expect(seen.slice(0, 3)).toEqual(["idle -", "connecting -", "connected -"]);
    expect(seen).toContain("disconnected network");
    expect(seen.at(-1)).toBe("connected -");
  });

  test("ask the newest component for their parameters", async () => {
    function Guest({ name }: { name: string }): React.ReactNode {
      const { connStatus } = skep.useActor({ name: "club", key: "k", getParams: () => ({ name }) });
      return connStatus;
    }
    const page = mount(<Guest name="ada" />);
    const first = await server.next();
    expect(await first.welcome()).toMatchObject({ params: { name: "ada" } });
    await page.until("connected");
    page.show(<Guest name="eve" />);
    await vi.waitUntil(() => page.text() === "connected");
    first.cut();
    expect(await (await server.next()).next()).toMatchObject({ params: { name: "eve" } });
    expect(server.upgradeCount).toBe(2);
  });

  test("call the listener of the newest render, once for each component", async () => {
    const heard: string[] = [];
    function Listener({ name }: { name: string }): React.ReactNode {
      const counter = skep.useActor({ name: "counter", key: "k" });
      counter.useEvent("changed", (value) => heard.push(`${name} ${value}`));
      return counter.connStatus;
    }
    const page = mount([<Listener key="1" name="a" />, <Listener key="2" name="b" />]);
    const peer = await server.next();
    await peer.welcome();
    await page.until("connectedconnected");
    page.show([<Listener key="1" name="c" />]);
    await vi.waitUntil(() => page.text() === "connected");
    peer.send({ type: "event", name: "changed", value: 1 });
    await vi.waitUntil(() => heard.length > 0);
    expect(heard).toEqual(["c 1"]);
  });
});
