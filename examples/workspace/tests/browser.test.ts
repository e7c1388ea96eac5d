// The workspace in Chromium: what one window does, another one sees. Pictures of all pages are left
// in $TMPDIR/skep-screenshots (SKEP_SCREENSHOTS).

import { type ActorError, type Client, createClient } from "@skep/client";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { launchBrowser, Window } from "../../../testing/packages/browser.ts";
import type { registry } from "../server.ts";
import { WorkspaceServer } from "./workspace_server.ts";

let server: WorkspaceServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([WorkspaceServer.start(), launchBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await server?.remove();
});

const connected = 'output.status[data-status="connected"]';
const patience = { timeout: 20_000 };
const saved = '.saved[data-saved="true"]';

/** Two people at the same place; nothing may go wrong in either window. */
async function inTwoWindows(
  path: string,
  body: (ada: Window, bo: Window) => Promise<void>,
): Promise<void> {
  const open = async (name: string): Promise<Window> => {
    const window = await Window.open(browser, `${server.url}/#/${path}`, name);
    await window.page.waitForSelector(connected);
    return window;
  };
  const [ada, bo] = [await open("Ada"), await open("Bo")];
  await body(ada, bo);
  expect([...ada.errors, ...bo.errors]).toEqual([]);
  await Promise.all([ada.close(), bo.close()]);
}

test("the first page lists all examples", async () => {
  const window = await Window.open(browser, server.url, "Ada");
  await window.shows(".card", "Chat rooms", "Document", "Tenants", "Agent memory", "Reminders");
  await window.picture("overview");
  const dark = await Window.open(browser, server.url, "Ada", {
    dark: true,
    width: 420,
    height: 800,
  });
  await dark.shows(".card", "Chat rooms");
  await dark.picture("overview-dark-narrow");
  for (const path of ["chat", "document", "tenants", "memory", "reminders"]) {
    await window.page.click(`.cards a[href="#/${path}"]`);
    await window.page.waitForSelector(connected);
    await window.page.click(".brand");
    await window.page.waitForSelector(".cards");
  }
  expect([...window.errors, ...dark.errors]).toEqual([]);
  await Promise.all([window.close(), dark.close()]);
});

test("on a narrow dark screen it is all there too", async () => {
  const window = await Window.open(browser, `${server.url}/#/tenants/narrow`, "Ada", {
    dark: true,
    width: 400,
    height: 780,
  });
  await window.page.waitForSelector(connected);
  await window.say('[aria-label="Task"]', "Fit onto a small screen");
  await window.shows(".rows", "Fit onto a small screen");
  // Nothing stands out at the side.
  expect(await window.page.evaluate(() => document.documentElement.scrollWidth)).toBe(400);
  await window.picture("narrow-dark");
  expect(window.errors).toEqual([]);
  await window.close();
});

test("a chat room shows who is there, who writes, and what is said", async () => {
  await inTwoWindows("chat/garden", async (ada, bo) => {
    await ada.shows(".people", "Ada", "Bo");
    await bo.shows(".people", "Ada", "Bo");
    await ada.say('[aria-label="Message"]', "The bees are back in the garden.");
    await bo.shows(".messages", "The bees are back in the garden.");
    await bo.type('[aria-label="Message"]', "Since when?");
    await ada.shows(".typing", "Bo is writing");
    await bo.page.keyboard.press("Enter");
    await ada.shows(".messages", "Since when?");
    await ada.say(
      '[aria-label="Message"]',
      "This morning, with the first sun. I counted eleven at the lavender.",
    );
    await bo.shows(".messages", "eleven at the lavender");
    await ada.lacks(".sending");
    await ada.picture("chat");
    await bo.page.reload();
    await bo.shows(".messages", "The bees are back", "Since when?", "eleven");
    // Who left is not there any more.
    await bo.page.goto(`${server.url}/#/chat/kitchen`);
    await bo.shows("h1", "# kitchen");
    await ada.has(".people li", 1);
  });
});

test("two write one document, and see each other's cursors", async () => {
  await inTwoWindows("document/notes", async (ada, bo) => {
    const editor = ".cm-content";
    await ada.type(editor, "Spring at the hives\n\nThe willow is in flower. ");
    await bo.shows(editor, "Spring at the hives", "The willow is in flower.");
    await bo.page.focus(editor);
    await bo.page.keyboard.down("Control");
    await bo.page.keyboard.press("End");
    await bo.page.keyboard.up("Control");
    await ada.shows(".cm-ySelectionInfo", "Bo");
    // At the same time, at the same place.
    await Promise.all([ada.page.keyboard.type("AAAA"), bo.page.keyboard.type("BBBB")]);
    const text = (window: Window): Promise<string> =>
      window.page.$eval(editor, (each) =>
        [...each.querySelectorAll(".cm-line")]
          .map((line) =>
            [...line.childNodes]
              .filter((node) => node.nodeName !== "SPAN")
              .map((node) => node.textContent)
              .join(""),
          )
          .join("\n"),
      );
    await ada.page.waitForSelector(saved);
    await bo.page.waitForSelector(saved);
    await ada.shows(".people", "Ada", "Bo");
    await expect
      .poll(
        async () => [...(await text(ada))].filter((each) => each === "A" || each === "B").length,
        patience,
      )
      .toBe(8);
    await expect.poll(async () => text(bo), patience).toBe(await text(ada));
    await ada.picture("document");
    await bo.page.reload();
    await bo.shows(editor, "Spring at the hives");
    await ada.shows(".people", "Bo");
  });
});

test("tenants have a database each, in one page", async () => {
  await inTwoWindows("tenants/acme", async (ada, bo) => {
    await ada.say('[aria-label="Task"]', "Send the offer for the new extractor");
    await ada.page.select('[aria-label="Priority"]', "1");
    await ada.say('[aria-label="Task"]', "Call the bank");
    await bo.shows(".rows", "Send the offer", "Call the bank");
    // By priority.
    expect((await bo.texts(".rows label")).map((each) => each.trim())).toEqual([
      "Call the bank",
      "Send the offer for the new extractor",
    ]);
    await bo.page.click(".rows input[type=checkbox]");
    await ada.shows(".rows .done", "Call the bank");
    await ada.shows(".side dl", "version 3", "tenant/acme");
    await bo.say('[aria-label="another tenant"]', "Globex");
    await bo.shows("h1", "globex's tasks");
    await bo.shows(".rows", "globex has nothing to do");
    await ada.shows(".tabs", "acme", "globex");
    await ada.picture("tenants");
    await bo.say('[aria-label="another tenant"]', "../etc");
    await bo.shows(".notice", "letters, digits and dashes");
  });
});

test("an agent answers from its memory, token by token, to all who listen", async () => {
  await inTwoWindows("memory/bea", async (ada, bo) => {
    await ada.say('[aria-label="Message"]', "My sister keeps seven beehives behind the old mill.");
    await bo.shows(".messages .agent:not(.streaming)", "I will remember that");
    await ada.say('[aria-label="Message"]', "The invoice for the printing press is due in March.");
    await bo.has(".messages .agent:not(.streaming)", 2);
    await ada.type('[aria-label="Message"]', "Where are the beehives?");
    const streams = bo.page.waitForSelector(".streaming");
    await ada.page.keyboard.press("Enter");
    await streams;
    await bo.shows(
      ".messages .agent:not(.streaming)",
      "You told me before: “My sister keeps seven beehives",
    );
    await ada.type('input[type="search"]', "bee hive mills");
    await ada.shows('[data-found="meaning"]', "seven beehives");
    await ada.has(".messages .agent:not(.streaming)", 3);
    await ada.picture("memory");
    // By words: of one that stands there, in another form of it, and of one that only means the same.
    await bo.type('input[type="search"]', "printed invoices");
    await bo.shows('[data-found="words"]', "The invoice for the printing press");
    await bo.lacks('[data-found="words"] .quiet');
    await ada.page.$eval('input[type="search"]', (input) => (input as HTMLInputElement).select());
    await ada.type('input[type="search"]', "xylophone");
    await ada.shows('[data-found="words"]', "nothing");
    await bo.picture("memory-words");
  });
});

test("a reminder is told when it is due, in all windows", async () => {
  await inTwoWindows("reminders/team", async (ada, bo) => {
    await ada.say('[aria-label="Reminder"]', "Close the hives, rain is coming");
    await bo.shows(".rows", "Close the hives");
    await ada.page.select('[aria-label="When"]', "86400000");
    await ada.say('[aria-label="Reminder"]', "Order jars");
    await bo.shows(".rows", "Order jars", "in 24 h");
    await bo.shows(".side", "every minute", "* * * * *");
    await bo.shows(".due", "Close the hives");
    await ada.shows(".rows .done", "Close the hives", "told at");
    await ada.picture("reminders");
    await bo.page.click('[aria-label="Cancel Order jars"]');
    await ada.lacks("li[data-reminder]");
  });
});

test("a job that one window sets by cron is every window's, and writes its summary when its time has come", async () => {
  await inTwoWindows("reminders/office", async (ada, bo) => {
    await ada.page.select('[aria-label="How often"]', "0 8 * * mon-fri");
    await bo.shows(".side code", "0 8 * * mon-fri");
    expect(await bo.page.$eval('[aria-label="How often"]', (each) => (each as HTMLSelectElement).value)).toBe("0 8 * * mon-fri");
    await bo.page.select('[aria-label="How often"]', "* * * * *");
    await ada.shows(".side code", "* * * * *");
    await ada.page.select('[aria-label="When"]', "86400000");
    await ada.say('[aria-label="Reminder"]', "Order jars");
    await ada.shows(".rows", "Order jars");
    // At the next full minute; at the one behind it when that has come before the reminder.
    const isWritten = (): boolean =>
      document.querySelector(".side .found")!.textContent.includes("1 to come, 0 told");
    for (const { page } of [ada, bo]) await page.waitForFunction(isWritten, { timeout: 130_000 });
    await ada.picture("summary");
  });
}, 180_000);

test("a server that was killed loses nothing that it had acknowledged, and all come back", async () => {
  const ada = await Window.open(browser, `${server.url}/#/chat/storm`, "Ada");
  const bo = await Window.open(browser, `${server.url}/#/chat/storm`, "Bo");
  const writer = await Window.open(browser, `${server.url}/#/document/storm`, "Cleo");
  for (const each of [ada, bo, writer]) await each.page.waitForSelector(connected);
  const acknowledged = (window: Window): Promise<string[]> =>
    window.texts(".messages li:not(.sending) p");
  await ada.say('[aria-label="Message"]', "a storm is coming");
  await bo.shows(".messages", "a storm is coming");
  await writer.type(".cm-content", "before the storm ");
  await writer.page.waitForSelector(saved);

  // The server dies under load: others write as fast as they can, in rooms of their own, and in
  // this one.
  const client = createClient<typeof registry>(server.url, { backoff: { minMs: 20, maxMs: 200 } });
  const writers = ["a", "b", "c", "storm"].map((room) => new Writer(client, room));
  await writers[0]!.has(40);
  await server.end("SIGKILL");
  await ada.page.waitForSelector('output.status:not([data-status="connected"])');
  const safe = await acknowledged(ada);
  await ada.picture("reconnecting");
  await writer.type(".cm-content", "and after it");

  await server.start();
  for (const each of writers) await each.has(each.told.length + 10);
  for (const each of writers) await each.stop();
  for (const each of [ada, bo, writer])
    await each.page.waitForSelector(connected, { timeout: 40_000 });
  await ada.say('[aria-label="Message"]', "all is well again");
  await bo.shows(".messages", "all is well again");
  for (const { room, told, handle } of writers) {
    const history = (await handle.history()).map(({ text }) => text);
    expect(history, room).toEqual(expect.arrayContaining(told));
    expect(new Set(history).size, room).toBe(history.length);
  }
  client.dispose();

  expect(safe).toContain("a storm is coming");
  const reader = await Window.open(browser, `${server.url}/#/chat/storm`, "Dag");
  await reader.shows(".messages", "all is well again");
  const kept = await acknowledged(reader);
  expect(kept).toEqual(expect.arrayContaining(safe));
  // Who was connected all the time has missed nothing either.
  await bo.has(".messages li", kept.length);
  expect(await acknowledged(bo)).toEqual(kept);

  await writer.page.waitForSelector(saved);
  await reader.page.goto(`${server.url}/#/document/storm`);
  await reader.shows(".cm-content", "before the storm and after it");
  await Promise.all([ada, bo, writer, reader].map((each) => each.close()));
});

/** A room's history has 200 messages. */
const tellsMax = 150;

/** Says one thing after the other in a room, and knows which of them were acknowledged. */
class Writer {
  readonly told: string[] = [];
  readonly room: string;
  readonly handle: ReturnType<Client<typeof registry>["chatRoom"]["getOrCreate"]>;
  readonly #loop: Promise<void>;
  #isOver = false;
  #wanted: { count: number; settle: () => void } | undefined;

  constructor(client: Client<typeof registry>, room: string) {
    this.room = room;
    this.handle = client.chatRoom.getOrCreate([room]);
    this.#loop = this.#write();
  }

  async #write(): Promise<void> {
    const connection = this.handle.connect({ name: "writer" });
    for (let i = 1; !this.#isOver && this.told.length < tellsMax; ++i) {
      const text = `${this.room} ${i}`;
      try {
        await connection.send(text);
        this.told.push(text);
      } catch (error) {
        // Under way when the connection was lost: nobody knows whether it happened.
        if ((error as ActorError).code !== "connection_lost") throw error;
      }
      if (this.#wanted && this.told.length >= this.#wanted.count) this.#wanted.settle();
    }
    connection.dispose();
  }
  /** Settles when so many have been acknowledged. */
  async has(count: number): Promise<void> {
    await Promise.race([
      new Promise<void>((settle) => (this.#wanted = { count, settle })),
      this.#loop,
    ]);
  }
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }
}
