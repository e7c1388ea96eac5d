/**
 * Actors in TypeScript, each with its own SQLite database.
 *
 * @packageDocumentation
 */
export { ActorError } from "@skep/client";
export type {
  AccessContext,
  ActorContext,
  BaseContext,
  ConnectContext,
  Connection,
  Events,
  OwnQueues,
  QueueMessage,
  Queues,
  StateContext,
} from "./context.ts";
export type {
  Database,
  SqlArguments,
  SqlExecutor,
  Transaction,
  TransactionOptions,
} from "./database.ts";
export {
  actor,
  type ActorConfig,
  type ActorDefinition,
  type ActorOptions,
  type Actions,
  type AnyActorDefinition,
  type ContextOf,
  db,
  type DatabaseDefinition,
  type DatabaseOptions,
  event,
  type EventDefinition,
  type EventOptions,
  type Migration,
  queue,
  type QueueDefinition,
  type QueueOptions,
  type RuntimeConfig,
  type Schemas,
} from "./definition.ts";
export { UserError } from "./errors.ts";
export type { Key, KeyValue, ListOptions } from "./key_value.ts";
export type { LogFields, Logger, LogLevel } from "./log.ts";
export type { ActorClient, RemoteActor, RemoteActors, RemoteMethods } from "./other_actors.ts";
export type { NamedParameters, SqlParameter } from "./parameters.ts";
export type {
  ActorWebSocket,
  WebSocketCloseEvent,
  WebSocketData,
  WebSocketEvents,
  WebSocketListener,
  WebSocketMessageEvent,
  WebSocketSender,
} from "./raw_socket.ts";
export {
  type ActorDefinitions,
  type Registry,
  type Server,
  setup,
  type SetupOptions,
  type StartOptions,
} from "./registry.ts";
export type { SqlValue } from "./native.ts";
export type { Row } from "./rows.ts";
export type { Cron, JobInfo, JobRun, Schedule, TimerInfo } from "./schedule.ts";
export type { SchemaIssue, SchemaResult, StandardSchema } from "./standard_schema.ts";
