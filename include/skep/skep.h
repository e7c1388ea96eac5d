// Skep's C++ API in one header: actors with a SQLite database each, and the server around them.
//
// See examples/ for whole programs, api/definition.h for how actors are defined, api/context.h for
// what their code can do.

#pragma once

#include "skep/api/context.h"
#include "skep/api/definition.h"
#include "skep/api/registry.h"
#include "skep/server/serve.h"
