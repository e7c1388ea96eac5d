// An addon that leaks: scripts/leaks.sh looks whether the leak checker finds it.
#include <node_api.h>
#include <stdlib.h>

static napi_value lose(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  char* volatile lost = malloc(1234);
  lost[0] = 1;
  lost = NULL;
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function = NULL;
  napi_create_function(env, "lose", NAPI_AUTO_LENGTH, lose, NULL, &function);
  napi_set_named_property(env, exports, "lose", function);
  return exports;
}
