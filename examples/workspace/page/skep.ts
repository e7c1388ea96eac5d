// The hooks of this page, typed by the server's registry. Only its type is imported: no code of the
// server is in the page.

import { createSkep, type Skep } from "@skep/react";

import type { registry } from "../server.ts";

export const { useActor, useActorQuery }: Skep<typeof registry> = createSkep<typeof registry>(
  location.origin,
);
