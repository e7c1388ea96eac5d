// Reminders for each person.
//
//   build/examples/reminders --store memory:
//   curl -X POST localhost:6420/actors/reminders/ada/actions/remindMe -d '["milk", 1]'
//   curl -X POST localhost:6420/actors/reminders/ada/actions/mails

#include <skep/skep.h>

#include "reminders.h"

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<Reminders>("reminders"));
}
