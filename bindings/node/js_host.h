// JsHost: what all actors of one JavaScript thread share: the loop, the functions of native.ts that the
// core calls, and the types as their definitions gave them.
//
// On the JavaScript thread; what calls JavaScript runs outside fibers.

#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "node_loop.h"
#include "skep/actor/actor_type.h"
#include "skep/actor/connection.h"
#include "skep/call/connection.h"
#include "skep/call/message.h"
#include "skep/call/web_socket.h"

namespace skep::node {

/// What an actor's code is asked to do: Kind of native.ts.
enum class Kind : std::uint8_t {
  Create,
  Load,
  Wake,
  Action,
  Message,
  Run,
  Admit,
  Connected,
  Disconnected,
  Sleep,
  Destroy,
  Pass,
  Request,
  Talk,
  Subscribe,
  Publish
};

struct Dispatch {
  Kind kind;
  std::string name = {};
  std::optional<call::Payload> payload = {};
  call::Encoding replyEncoding = call::Encoding::Cbor;
  actor::ConnectionPtr connection = {};
  const std::vector<std::pair<std::string, std::string>>* headers = nullptr;
};

/// A type's parts that only this side needs.
struct JsType {
  std::int32_t index = 0;
  std::set<std::string> actions;
  std::set<std::string> queues;
};

class JsHost {
 public:
  /// Whether all of them are there.
  static bool areCallbacks(napi_env env, napi_value callbacks);
  /// `callbacks`: NativeCallbacks.
  JsHost(NodeLoop& node, napi_value callbacks);
  ~JsHost();
  JsHost(const JsHost&) = delete;
  JsHost& operator=(const JsHost&) = delete;

  NodeLoop& node() { return node_; }
  std::uint32_t nextActor() { return ++actors_; }

  // NativeCallbacks. They do nothing when the thread's JavaScript ends.
  void dispatch(const Dispatch& what, std::uint32_t run, std::uint32_t actor, std::int32_t type,
                const std::vector<std::string>* key);
  void abort(std::uint32_t run, bool isTimeout);
  std::optional<std::string> takeState(std::uint32_t actor);
  void restoreState(std::uint32_t actor, const std::string& state);
  void forget(std::uint32_t actor);
  void message(std::uint32_t run, const call::WebSocketMessage& message);
  void closed(std::uint32_t run, const call::WebSocketClose& ending);

  /// The columns that a statement had last, if it is one of those that are remembered. Any fiber of the
  /// thread.
  struct Columns {
    explicit Columns(NodeLoop& loop) : node(loop) {}
    ~Columns();
    Columns(const Columns&) = delete;
    Columns& operator=(const Columns&) = delete;

    NodeLoop& node;
    std::vector<std::string> names;
    napi_ref array = nullptr;  // made with the first result
  };
  std::shared_ptr<Columns>& columnsOf(const std::string& sql);
  /// The array of the names: the same each time, so that what is cached by it stays. Outside fibers.
  napi_value arrayOf(Columns& columns);
  /// {columns, values}.
  napi_value rows(napi_value columns, napi_value values);

 private:
  enum Callback : std::uint8_t {
    OnDispatch,
    OnAbort,
    OnTakeState,
    OnRestoreState,
    OnForget,
    OnMessage,
    OnClosed,
    kCallbacks
  };
  napi_value invoke(Callback callback, std::size_t count, const napi_value* arguments);

  NodeLoop& node_;
  napi_ref callbacks_[kCallbacks] = {};
  napi_ref keys_ = nullptr;  // ["columns", "values"]: of strings themselves there are no references
  std::uint32_t actors_ = 0;
  // Shared with the statements that run. By their SQL.
  std::unordered_map<std::string, std::shared_ptr<Columns>> columns_;
};

/// A NativeConnection.
napi_value toJs(napi_env env, const actor::ConnectionPtr& connection);

}  // namespace skep::node
