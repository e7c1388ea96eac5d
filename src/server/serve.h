// serve(): a whole server around some actor types: store, loops, host, HTTP.
//
//   int main(int argc, char** argv) {
//     return skep::serve(argc, argv, skep::registry<Counter, ChatRoom>("counter", "chatRoom"));
//   }
//
// Options of the command line: --store, --listen, --help; SKEP_STORE and SKEP_LISTEN in the
// environment. Runs until SIGINT or SIGTERM, then lets requests under way end and puts the actors to
// sleep. Returns the process's exit status.

#pragma once

#include "skep/api/registry.h"

namespace skep {

int serve(int argc, char** argv, Registry registry);

}  // namespace skep
