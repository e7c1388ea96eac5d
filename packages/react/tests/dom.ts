// A document for React. Everything else (fetch, timers, WebSocket) stays that of Node.js.

import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
for (const [name, value] of Object.entries({
  window,
  document: window.document,
  navigator: window.navigator,
})) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
