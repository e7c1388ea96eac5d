// The types of the actors in tests/packages/server.cc.

import type { RegistryTypes } from "@skep/client";

export interface ChatMessage {
  id: number;
  sender: string;
  text: string;
}

export type Registry = RegistryTypes<{
  chat: {
    actions: {
      send(sender: string, text: string): ChatMessage;
      history(): ChatMessage[];
      flood(count: number, bytes: number): void;
      endAll(reason: string): void;
      vanish(): void;
    };
    events: { message: ChatMessage; keptMessage: ChatMessage; noise: string };
  };
  counter: {
    actions: { increment(by: number): number; value(): number };
    events: { changed: number };
    queues: { additions: { body: number; reply: number }; unread: { body: number } };
    input: { start: number };
  };
  values: {
    actions: {
      echo(value: unknown): unknown;
      add(a: number | bigint, b: number | bigint): bigint;
      reverse(bytes: Uint8Array): Uint8Array;
      announce(value: unknown): void;
      both(a: string, b?: string): string;
      fail(code: string): void;
      crash(): void;
      wait(ms: number): number;
    };
    events: { echoed: unknown };
  };
  club: {
    actions: { me(): string };
    events: { joined: string };
    params: { name?: string };
  };
}>;
