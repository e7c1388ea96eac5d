#!/usr/bin/env node
// Stands here from the start, so that npm links the command before anything is compiled.
import "../dist/cli/main.js";
