// Mounting components as an application does, and waiting for what they show.

import type { ReactNode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { flushSync } from "react-dom";
import { afterEach, vi } from "vitest";

export interface Mounted {
  readonly root: Root;
  readonly element: HTMLElement;
  /** What it shows now. */
  readonly text: () => string;
  show(node: ReactNode): void;
  /** Waits until it shows this. */
  until(text: string | RegExp): Promise<void>;
  unmount(): void;
}

const mounted: Mounted[] = [];
afterEach(() => {
  for (const each of mounted.splice(0)) each.unmount();
});

export function mount(node: ReactNode): Mounted {
  const element = document.createElement("div");
  const root = createRoot(element);
  const result = watch(root, element);
  result.show(node);
  return result;
}

/** What a server has rendered comes to life. `onError`: where the two differ. */
export function hydrate(html: string, node: ReactNode, onError: (error: unknown) => void): Mounted {
  const element = document.createElement("div");
  element.innerHTML = html;
  return watch(hydrateRoot(element, node, { onRecoverableError: onError }), element);
}

function watch(root: Root, element: HTMLElement): Mounted {
  const text = (): string => element.textContent ?? "";
  const result: Mounted = {
    root,
    element,
    text,
    show: (node) => flushSync(() => root.render(node)),
    until: async (wanted) => {
      const isThere = (): boolean =>
        typeof wanted === "string" ? text() === wanted : wanted.test(text());
      try {
        await vi.waitUntil(isThere, { timeout: 20_000, interval: 2 });
      } catch {
        throw new Error(`waited for ${String(wanted)}, but there is: ${text()}`);
      }
    },
    unmount: () => flushSync(() => root.unmount()),
  };
  mounted.push(result);
  return result;
}
