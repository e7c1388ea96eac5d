// Chromium without a screen, for tests of pages: windows that know nothing of each other, and
// pictures to look at.

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import puppeteer, { type Browser, type Page } from "puppeteer-core";

/** The system's; a browser is not fetched. */
const executablePath =
  process.env["CHROMIUM"] ??
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

/** Where the pictures are. */
export const screenshots: string =
  process.env["SKEP_SCREENSHOTS"] ?? join(tmpdir(), "skep-screenshots");

export async function launchBrowser(): Promise<Browser> {
  if (!executablePath)
    throw new Error("no Chromium: install it (scripts/setup.sh test), or name one in CHROMIUM");
  await mkdir(screenshots, { recursive: true });
  // Containers and root have no sandbox of the browser's own.
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-GB"];
  // All windows count, not only the one in front.
  args.push("--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding");
  args.push("--disable-background-timer-throttling");
  return puppeteer.launch({ executablePath, args, env: { ...process.env, LANGUAGE: "en_GB" } });
}

const patience = { timeout: 20_000, polling: 50 };

/** A window as of another person: with a session of its own. */
export class Window {
  readonly page: Page;
  /** What went wrong in the page. */
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && this.errors.push(message.text()));
  }

  static async open(
    browser: Browser,
    url: string,
    name: string,
    options: WindowOptions = {},
  ): Promise<Window> {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    const { width = 1180, height = 760, dark = false } = options;
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
      // So that a picture shows where things come to rest.
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
    await page.evaluateOnNewDocument((each) => sessionStorage.setItem("name", each), name);
    const window = new Window(page);
    await page.goto(url);
    return window;
  }

  /** Waits until the text of what is chosen has all of these. */
  async shows(selector: string, ...texts: string[]): Promise<void> {
    const find = (chosen: string, all: string[]): boolean => {
      const text = [...document.querySelectorAll(chosen)]
        .map((each) => each.textContent)
        .join("\n");
      return all.every((each) => text.includes(each));
    };
    try {
      await this.page.waitForFunction(find, patience, selector, texts);
    } catch {
      const text = await this.texts(selector);
      throw new Error(
        `'${selector}' does not show ${JSON.stringify(texts)}, but ${JSON.stringify(text)}`,
      );
    }
  }
  /** Waits until there are so many at least; or exactly that many, in the end. */
  async has(selector: string, count: number): Promise<void> {
    const enough = (chosen: string, least: number): boolean =>
      document.querySelectorAll(chosen).length >= least;
    await this.page.waitForFunction(enough, patience, selector, count);
  }
  /** Waits until nothing of that kind is there. */
  async lacks(selector: string): Promise<void> {
    await this.page.waitForFunction(
      (chosen) => !document.querySelector(chosen),
      patience,
      selector,
    );
  }
  async texts(selector: string): Promise<string[]> {
    return this.page.$$eval(selector, (all) => all.map((each) => each.textContent ?? ""));
  }
  async type(selector: string, text: string): Promise<void> {
    await this.page.waitForSelector(selector);
    await this.page.type(selector, text);
  }
  async say(selector: string, text: string): Promise<void> {
    await this.type(selector, text);
    await this.page.keyboard.press("Enter");
  }
  async picture(name: string): Promise<void> {
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }
  async close(): Promise<void> {
    await this.page.browserContext().close();
  }
}

interface WindowOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}
