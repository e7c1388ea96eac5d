// The workspace: all examples in one server, and its page.
//
//   npx skep dev server.ts

import { setup } from "skep";

import { buildPage } from "./build.ts";
import { chatRoom } from "./chat/actor.ts";
import { counter } from "./counter/actor.ts";
import { textDocument } from "./document/actor.ts";
import { agent } from "./memory/actor.ts";
import { reminders } from "./reminders/actor.ts";
import { tenant, tenantList } from "./tenants/actor.ts";

export const registry = setup({
  use: { counter, chatRoom, textDocument, tenant, tenantList, agent, reminders },
});

const pages = await buildPage();
const server = await registry.start({ pages });
console.log(`The workspace is at ${server.url.replace("127.0.0.1", "localhost")}`);
