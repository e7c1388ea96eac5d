// A started registry on a FakeNative.

import {
  startServer,
  type ActorDefinitions,
  type Server,
  type StartOptions,
} from "../src/registry.ts";
import { type FakeActor, FakeNative } from "./fake_native.ts";

export class World {
  readonly native = new FakeNative();
  /** Lines of the log. */
  readonly lines: string[] = [];
  server!: Server;

  static async of(use: ActorDefinitions, options: StartOptions = {}): Promise<World> {
    const world = new World();
    world.server = await startServer(
      world.native,
      use,
      { signals: false, ...options },
      (line) => void world.lines.push(line),
    );
    return world;
  }
  /** One that is there and awake. */
  async actor(type: string, input?: unknown): Promise<FakeActor> {
    const actor = this.native.actor(type);
    const failure = await actor.create(input);
    if (failure) throw new Error(failure.message);
    this.native.log.length = 0;
    return actor;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }
}
