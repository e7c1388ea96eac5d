// Keeps a Yjs document and an actor alike. Updates may be sent twice without harm, so calls that
// were lost are made again; and whenever the connection is new, both sides tell what they have.

import type { ActorConnection, DefinitionOf } from "@skep/client";
import {
  applyAwarenessUpdate,
  type Awareness,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from "y-protocols/awareness";
import * as Y from "yjs";

import type { registry } from "../server.ts";

type Connection = ActorConnection<DefinitionOf<typeof registry, "textDocument">>;

/** Origin of changes that came from the actor. */
const remote = Symbol("remote");

/**
 * Until the function that it gives is called. `onSaved`: whether the actor has all that was written
 * here.
 */
export function bind(
  doc: Y.Doc,
  awareness: Awareness,
  connection: Connection,
  onSaved: (isSaved: boolean) => void,
): () => void {
  let unsaved: Uint8Array[] = [];
  let isSending = false;

  const send = async (): Promise<void> => {
    if (isSending) return;
    isSending = true;
    while (unsaved.length) {
      const update = Y.mergeUpdates(unsaved);
      unsaved = [];
      try {
        await connection.action({ name: "update", args: [update], idempotent: true });
      } catch {
        // Away for too long: the next connection begins with sync().
        isSending = false;
        return;
      }
    }
    isSending = false;
    onSaved(true);
  };
  const changed = (update: Uint8Array, origin: unknown): void => {
    if (origin === remote) return;
    unsaved.push(update);
    onSaved(false);
    void send();
  };
  const sync = async (): Promise<void> => {
    tellCursor([doc.clientID]);
    const args: [Uint8Array] = [Y.encodeStateVector(doc)];
    const { update, stateVector } = await connection.action({
      name: "sync",
      args,
      idempotent: true,
    });
    Y.applyUpdate(doc, update, remote);
    const lacking = Y.encodeStateAsUpdate(doc, stateVector);
    // Of two bytes: nothing is lacking.
    if (lacking.length > 2) unsaved.push(lacking);
    await send();
  };
  const tellCursor = (clients: number[]): void => {
    if (connection.status !== "connected") return;
    connection.awareness(encodeAwarenessUpdate(awareness, clients)).catch(() => {});
  };
  const cursorChanged = (
    { added, updated, removed }: Record<"added" | "updated" | "removed", number[]>,
    origin: unknown,
  ): void => {
    if (origin !== remote) return tellCursor([...added, ...updated, ...removed]);
    // Somebody is new here, and does not know of us.
    if (added.length) tellCursor([doc.clientID]);
  };

  doc.on("update", changed);
  awareness.on("update", cursorChanged);
  const begin = (): void => void sync().catch(() => {});
  const stops = [
    connection.on("update", (update) => Y.applyUpdate(doc, update, remote)),
    connection.on("awareness", (update) => applyAwarenessUpdate(awareness, update, remote)),
    connection.on("left", (clientId) => removeAwarenessStates(awareness, [clientId], remote)),
    connection.onOpen(begin),
    connection.onMissed(begin),
  ];
  if (connection.status === "connected") begin();
  return () => {
    doc.off("update", changed);
    awareness.off("update", cursorChanged);
    for (const stop of stops) stop();
  };
}
