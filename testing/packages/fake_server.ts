// FakeServer: a server that does what a test says, also what a real one never would.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import { type WebSocket, WebSocketServer } from "ws";

import { decode, encode } from "../../packages/client/src/codec.ts";
import type { Message } from "../../packages/client/src/link.ts";

/** One connection of a client. */
export class Peer {
  readonly request: IncomingMessage;
  readonly socket: WebSocket;
  readonly #messages: Message[] = [];
  #wanted: ((message: Message) => void) | null = null;

  constructor(request: IncomingMessage, socket: WebSocket) {
    this.request = request;
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      const message = decode(isBinary ? data : data.toString()) as Message;
      const wanted = this.#wanted;
      this.#wanted = null;
      if (wanted) wanted(message);
      else this.#messages.push(message);
    });
  }
  /** The next message that the client sends. */
  next(): Promise<Message> {
    const message = this.#messages.shift();
    return message ? Promise.resolve(message) : new Promise((resolve) => (this.#wanted = resolve));
  }
  /** Messages that the client has sent and nobody has taken. */
  get waiting(): readonly Message[] {
    return this.#messages;
  }
  send(message: object): void {
    this.socket.send(encode(message, "cbor"));
  }
  /** Lets the client in; gives its `connect` message. */
  async welcome(position = { stream: "s", seq: 0 }, connection = "c1"): Promise<Message> {
    const message = await this.next();
    this.send({ type: "connected", connection, ...position });
    return message;
  }
  /** Takes a call, and answers it with `result`. */
  async reply(result: unknown): Promise<Message> {
    const message = await this.next();
    this.send({ type: "reply", id: message["id"], result });
    return message;
  }
  /** As when the network is gone. */
  cut(): void {
    this.socket.terminate();
  }
  get closed(): Promise<number> {
    return new Promise((resolve) => this.socket.once("close", resolve));
  }
}

export class FakeServer {
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, autoPong: false });
  readonly #peers: Peer[] = [];
  readonly #sockets = new Set<Duplex>();
  #port = 0;
  #wanted: ((peer: Peer) => void) | null = null;
  /** What came in over HTTP. */
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage["headers"];
    readonly body: Buffer;
  }[] = [];
  /** Upgrades that came in, let in or not. */
  upgradeCount = 0;
  onRequest: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => {
    response
      .writeHead(426, { "content-type": "application/json" })
      .end('{"group":"request","code":"upgrade_required","message":""}');
  };
  /** Whether a WebSocket may open; what it does otherwise is its own. */
  onUpgrade: (request: IncomingMessage, socket: Duplex) => boolean = () => true;

  private constructor() {
    this.#http = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { method = "", url = "", headers } = request;
        this.requests.push({ method, url, headers, body: Buffer.concat(parts) });
        this.onRequest(request, response);
      });
    });
    this.#http.on("upgrade", (request, socket, head) => {
      ++this.upgradeCount;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      if (!this.onUpgrade(request, socket)) return;
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        const peer = new Peer(request, webSocket);
        const wanted = this.#wanted;
        this.#wanted = null;
        if (wanted) wanted(peer);
        else this.#peers.push(peer);
      });
    });
  }
  static async start(): Promise<FakeServer> {
    const server = new FakeServer();
    await new Promise<void>((resolve) => server.#http.listen(0, "127.0.0.1", resolve));
    server.#port = (server.#http.address() as AddressInfo).port;
    return server;
  }
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  /** The next client that connects. */
  next(): Promise<Peer> {
    const peer = this.#peers.shift();
    return peer ? Promise.resolve(peer) : new Promise((resolve) => (this.#wanted = resolve));
  }
  /** As if a proxy answered: an upgrade, and the request that asks why it was refused. */
  answerAll(status: number, body = "", headers: Record<string, string> = {}): void {
    this.onUpgrade = (_, socket) => {
      const head = Object.entries({
        ...headers,
        connection: "close",
        "content-length": String(body.length),
      });
      socket.end(
        `HTTP/1.1 ${status} No\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
      );
      return false;
    };
    this.onRequest = (_, response) => {
      response.writeHead(status, headers).end(body);
    };
  }
  async stop(): Promise<void> {
    for (const each of this.#sockets) each.destroy();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}
