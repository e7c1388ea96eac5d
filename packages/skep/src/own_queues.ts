import type { QueueMessage } from "./context.ts";
import { decode, encode } from "./cbor.ts";
import { Command } from "./native.ts";
import type { Operations } from "./operations.ts";
import type { StandardSchema } from "./standard_schema.ts";
import { validate } from "./validate.ts";

type Message = QueueMessage<unknown, unknown>;
type Schemas = { readonly [queue: string]: StandardSchema | undefined } | undefined;

/** OwnQueues, whose types are those of the definition. */
export class RunQueues {
  readonly #operations: Operations;
  readonly #schemas: Schemas;
  readonly #isAborted: () => boolean;

  constructor(operations: Operations, schemas: Schemas, isAborted: () => boolean) {
    this.#operations = operations;
    this.#schemas = schemas;
    this.#isAborted = isAborted;
  }

  async send(
    queue: string,
    body: unknown,
    { delay = 0 }: { delay?: number } = {},
  ): Promise<number> {
    const args = [queue, encode(body, "stored"), delay];
    return (await this.#operations.command(Command.QueueSend, args)) as number;
  }

  async next(queue: string, { timeout }: { timeout?: number } = {}): Promise<Message | null> {
    while (true) {
      const found = await this.#operations.command(Command.QueueNext, [queue, timeout ?? null]);
      if (found === null) return null;
      const taken = found as { id: number; body: Uint8Array; tries: number };
      try {
        const body = await validate(this.#schemas?.[queue], decode(taken.body), `'${queue}'`);
        return new TakenMessage(this.#operations, queue, taken.id, body, taken.tries);
      } catch (error) {
        // Not the reader's fault, but the sender's.
        const args = [queue, taken.id, error instanceof Error ? error.message : String(error)];
        await this.#operations.command(Command.QueueFail, args);
      }
    }
  }

  async *iter(queue: string): AsyncIterableIterator<Message> {
    while (!this.#isAborted()) {
      let message: Message | null;
      try {
        message = await this.next(queue);
      } catch (error) {
        if (this.#isAborted()) return;
        throw error;
      }
      if (message === null) return;
      yield message;
    }
  }
}

class TakenMessage implements Message {
  readonly #operations: Operations;
  readonly #queue: string;
  readonly id: number;
  readonly body: unknown;
  readonly tries: number;

  constructor(operations: Operations, queue: string, id: number, body: unknown, tries: number) {
    this.#operations = operations;
    this.#queue = queue;
    this.id = id;
    this.body = body;
    this.tries = tries;
  }
  async complete(reply?: unknown): Promise<void> {
    const bytes = reply === undefined ? null : encode(reply, "sent");
    await this.#operations.command(Command.QueueComplete, [this.#queue, this.id, bytes]);
  }
  async fail(error: string): Promise<void> {
    await this.#operations.command(Command.QueueFail, [this.#queue, this.id, error]);
  }
}
