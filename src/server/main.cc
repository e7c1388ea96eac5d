// The skep command: the one place that wires everything for people at a terminal.

#include "skep/server/command.h"

int main(int argumentCount, char** arguments) {
  return skep::server::runCommandLine(argumentCount, arguments);
}
