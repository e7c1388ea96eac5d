/**
 * Typed client of Skep actors, for browsers and Node.js.
 *
 * @packageDocumentation
 */
export type { ActorKey } from "./address.ts";
export type { Backoff } from "./backoff.ts";
export {
  type Client,
  type ClientMethods,
  type ClientOptions,
  createClient,
  type OfflineOptions,
} from "./client.ts";
export type { Encoding } from "./codec.ts";
export type { CloseInfo, ConnectionStatus } from "./connection.ts";
export type {
  ActionArgs,
  ActionName,
  ActionResult,
  ActorDefinitionTypes,
  ActorName,
  ActorShape,
  ActorTypes,
  AnyRegistry,
  DefinitionOf,
  EventName,
  EventPayload,
  EventType,
  InputOf,
  ParamsOf,
  QueueBody,
  QueueName,
  QueueReply,
  QueueType,
  Received,
  RegistryContract,
  RegistryTypes,
} from "./contract.ts";
export { ActorError } from "./error.ts";
export type {
  ActionCall,
  ActionMethods,
  ActorAccessor,
  ActorConnection,
  ActorHandle,
  ConnectionMethods,
  CreateOptions,
  GetOrCreateOptions,
  HandleMethods,
  HandleOptions,
  QueueHandle,
  SendOptions,
  Sent,
} from "./handle.ts";
export type { CallOptions } from "./http.ts";
