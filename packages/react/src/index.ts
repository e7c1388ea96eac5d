"use client";

/**
 * React hooks for Skep actors.
 *
 * @packageDocumentation
 */
export { createSkep, type Skep, type UseActorOptions, type UseActorResult } from "./use_actor.ts";
export type { UseActorQueryOptions, UseActorQueryResult } from "./use_actor_query.ts";
