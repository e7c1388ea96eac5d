// BrokenNetwork: between a client and a server; cuts connections after a number of bytes that a
// test chooses, in the middle of whatever is on its way, and says nothing about it.

import { createServer, type AddressInfo, type Server, type Socket, connect } from "node:net";

export class BrokenNetwork {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  cutCount = 0;

  /**
   * `bytesUntilCut` says of each connection how many bytes get through, in both directions
   * together.
   */
  private constructor(target: URL, bytesUntilCut: () => number) {
    this.#server = createServer((near) => {
      const far = connect(Number(target.port), target.hostname);
      let left = bytesUntilCut();
      const end = (): void => {
        near.destroy();
        far.destroy();
      };
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", end);
        from.on("close", () => {
          this.#sockets.delete(from);
          end();
        });
        from.on("data", (data) => {
          left -= data.length;
          if (left >= 0) return void to.write(data);
          ++this.cutCount;
          // What still fits gets through, so that messages are cut in two.
          to.write(data.subarray(0, data.length + left), end);
        });
      }
    });
  }
  static async start(targetUrl: string, bytesUntilCut: () => number): Promise<BrokenNetwork> {
    const network = new BrokenNetwork(new URL(targetUrl), bytesUntilCut);
    await new Promise<void>((resolve) => network.#server.listen(0, "127.0.0.1", resolve));
    network.#port = (network.#server.address() as AddressInfo).port;
    return network;
  }
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  async stop(): Promise<void> {
    for (const each of this.#sockets) each.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
