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
  std::uint32_t actors_ = 0;
};

/// A NativeConnection.
napi_value toJs(napi_env env, const actor::ConnectionPtr& connection);

}  // namespace skep::node
