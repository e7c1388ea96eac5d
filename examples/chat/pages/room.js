// A connection to one actor, over the WebSocket protocol skep.1 in JSON. It comes back by itself when it
// is lost, and goes on behind the last event that it saw.

const kBackoffMs = { least: 250, most: 10_000 };
// Close codes after which coming back would only be refused again.
const kFinal = new Set([1002, 1003, 1007, 1008, 1009, 4000, 4001]);

export class Room extends EventTarget {
  #path;
  #params;
  #events;
  #socket = null;
  #calls = new Map();
  #waiting = [];
  #nextId = 1;
  #resume = null;
  #backoffMs = kBackoffMs.least;
  #retry = 0;
  #isClosed = false;
  status = "connecting";

  /** Emits "status", "event" (detail: {name, value}), "missed" and "refused" (detail: the error). */
  constructor(type, key, params, events) {
    super();
    this.#path = ["actors", type, ...key].map((part) => encodeURIComponent(part)).join("/");
    this.#params = params;
    this.#events = events;
    this.#open();
  }

  /** Runs an action; waits for the connection when there is none. Rejects with {code, message}. */
  call(action, ...args) {
    return new Promise((resolve, reject) => {
      const call = { id: this.#nextId++, action, args, resolve, reject };
      if (this.status === "connected") this.#send(call);
      else this.#waiting.push(call);
    });
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#socket?.close(1000);
  }

  #open() {
    const url = new URL(`/${this.#path}/connect`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, "skep.1");
    this.#socket = socket;
    socket.onopen = () => {
      const connect = { type: "connect", params: this.#params, subscribe: this.#events };
      if (this.#resume) connect.resume = this.#resume;
      socket.send(JSON.stringify(connect));
    };
    socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(code);
  }

  #received(message) {
    if (message.stream) {
      this.#resume = { ...this.#resume, stream: message.stream, seq: message.seq };
    }
    switch (message.type) {
      case "connected":
        this.#resume.connection = message.connection;
        this.#backoffMs = kBackoffMs.least;
        this.#become("connected");
        for (const call of this.#waiting.splice(0)) this.#send(call);
        break;
      case "reply":
        this.#take(message.id)?.resolve(message.result);
        break;
      case "error": {
        const call = message.id === undefined ? null : this.#take(message.id);
        if (call) call.reject(message.error);
        else if (!message.retry) this.#emit("refused", message.error);
        break;
      }
      case "event":
        this.#emit("event", { name: message.name, value: message.value });
        break;
      case "missed":
        this.#emit("missed");
        break;
    }
  }

  #lost(code) {
    // Nobody knows whether calls that were under way happened.
    for (const call of this.#calls.values()) {
      call.reject({ code: "connection_lost", message: "the connection was lost before the answer" });
    }
    this.#calls.clear();
    if (this.#isClosed || kFinal.has(code)) return this.#become("disconnected");
    this.#become("connecting");
    this.#retry = setTimeout(() => this.#open(), this.#backoffMs * (0.5 + Math.random() / 2));
    this.#backoffMs = Math.min(this.#backoffMs * 2, kBackoffMs.most);
  }

  #send(call) {
    this.#calls.set(call.id, call);
    const { id, action, args } = call;
    this.#socket.send(JSON.stringify({ type: "call", id, action, args }));
  }

  #take(id) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  #become(status) {
    this.status = status;
    this.#emit("status");
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
