// Skep's test kit in one header: actors in a test, on a clock that the test moves. See
// testkit/test_host.h.

#pragma once

#include "skep/api/context.h"
#include "skep/api/definition.h"
#include "skep/api/registry.h"
#include "skep/testkit/test_host.h"
