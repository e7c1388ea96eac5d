// An addon that uses the system's SQLite, as other packages bring one of their own: two_sqlites.test.ts loads it beside
// Skep's. Declares the few functions that it needs, so that no header has to be installed.

#include <node_api.h>
#include <stddef.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
int sqlite3_open(const char* file, sqlite3** connection);
int sqlite3_close(sqlite3* connection);
int sqlite3_prepare_v2(sqlite3*, const char*, int bytes, sqlite3_stmt**, const char** tail);
int sqlite3_step(sqlite3_stmt*);
const unsigned char* sqlite3_column_text(sqlite3_stmt*, int column);
int sqlite3_finalize(sqlite3_stmt*);
const char* sqlite3_sourceid(void);

enum { kRow = 100, kTextBytesMax = 4096 };

static napi_value textOf(napi_env env, const char* text) {
  napi_value value = NULL;
  napi_create_string_utf8(env, text == NULL ? "" : text, NAPI_AUTO_LENGTH, &value);
  return value;
}

static napi_value sourceId(napi_env env, napi_callback_info info) {
  (void)info;
  return textOf(env, sqlite3_sourceid());
}

/// query(sql): what the last of its rows has in the first column, of a database in memory.
static napi_value query(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = NULL;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  char sql[kTextBytesMax] = "";
  napi_get_value_string_utf8(env, argument, sql, sizeof sql, NULL);
  sqlite3* connection = NULL;
  sqlite3_open(":memory:", &connection);
  napi_value result = textOf(env, NULL);
  for (const char* rest = sql; *rest != '\0';) {
    sqlite3_stmt* statement = NULL;
    if (sqlite3_prepare_v2(connection, rest, -1, &statement, &rest) != 0 || statement == NULL) break;
    while (sqlite3_step(statement) == kRow) result = textOf(env, (const char*)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
  }
  sqlite3_close(connection);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function = NULL;
  napi_create_function(env, "sourceId", NAPI_AUTO_LENGTH, sourceId, NULL, &function);
  napi_set_named_property(env, exports, "sourceId", function);
  napi_create_function(env, "query", NAPI_AUTO_LENGTH, query, NULL, &function);
  napi_set_named_property(env, exports, "query", function);
  return exports;
}
