// What nodes say to each other, over real sockets on the loopback interface.

#include <gtest/gtest.h>

#include <boost/asio/write.hpp>
#include <deque>

#include "skep/cluster/handshake.h"
#include "skep/cluster/peer_message.h"
#include "skep/cluster/peer_server.h"
#include "skep/cluster/tcp_peers.h"

namespace skep::cluster {
namespace {

using namespace std::chrono_literals;
using call::ActionRequest;
using call::Failure;
using call::FailureCode;
using call::Payload;
using store::Incarnation;

// ---- Messages

class Fields final : public call::RequestHead {
 public:
  call::Headers fields() const override { return {{"cookie", "a=b"}, {"x-y", ""}}; }
};

ActionRequest fullRequest(const Fields& fields) {
  return {.actor = {.type = "chatRoom", .key = {"eu", "a,b/ä"}},
          .existence = call::Existence::Create,
          .input = Payload{call::Encoding::Cbor, std::string("\0\x01\xff", 3)},
          .action = "say",
          .arguments = {call::Encoding::Json, "[1]"},
          .replyEncoding = call::Encoding::Cbor,
          .timeout = 1500ms,
          .callers = {"a/1", "b/2"},
          .visit = call::Visit{.claims = {call::Encoding::Json, "{\"sub\":7}"}, .head = &fields}};
}

TEST(PeerMessage, an_action_arrives_as_it_was_sent) {
  const Fields fields;
  const ActionRequest sent = fullRequest(fields);
  auto received = decodeRequest(encodeRequest(sent));
  ASSERT_TRUE(received.ok());
  const auto& request = std::get<ActionRequest>(received->request);
  EXPECT_EQ(request.actor, sent.actor);
  EXPECT_EQ(request.existence, sent.existence);
  EXPECT_EQ(request.input->bytes, sent.input->bytes);
  EXPECT_EQ(request.input->encoding, sent.input->encoding);
  EXPECT_EQ(request.action, sent.action);
  EXPECT_EQ(request.arguments.bytes, sent.arguments.bytes);
  EXPECT_EQ(request.replyEncoding, sent.replyEncoding);
  EXPECT_EQ(request.timeout, sent.timeout);
  EXPECT_EQ(request.callers, sent.callers);
  ASSERT_TRUE(request.visit.has_value());
  EXPECT_EQ(request.visit->claims.bytes, sent.visit->claims.bytes);
  EXPECT_EQ(request.visit->head->fields(), fields.fields());
}

TEST(PeerMessage, what_is_left_out_stays_left_out) {
  const ActionRequest sent{.actor = {.type = "t", .key = {"k"}}, .action = "a"};
  auto received = decodeRequest(encodeRequest(sent));
  ASSERT_TRUE(received.ok());
  const auto& request = std::get<ActionRequest>(received->request);
  EXPECT_FALSE(request.input || request.timeout || request.visit);
  EXPECT_TRUE(request.callers.empty());
}

TEST(PeerMessage, every_kind_of_request_and_outcome_comes_through) {
  const call::ActorAddress actor{.type = "t", .key = {"k"}};
  const std::vector<PeerRequest> requests = {
      ActionRequest{.actor = actor},
      call::QueueSend{.actor = actor, .queue = "q", .delay = 5s, .replyTimeout = 1s},
      ResolveRequest{.actor = actor, .existence = call::Existence::Get},
      DestroyRequest{actor},
      SleepRequest{actor},
      InfoRequest{actor}};
  for (const PeerRequest& request : requests) {
    auto received = decodeRequest(encodeRequest(request));
    ASSERT_TRUE(received.ok()) << request.index();
    EXPECT_EQ(received->request.index(), request.index());
  }
  call::ActorDetails details{.info = {.actor = actor, .bytes = 7, .isAwake = true},
                             .alarmMs = -3,
                             .lastError = call::LastError{.message = "no", .timeMs = 9}};
  const std::vector<PeerOutcome> outcomes = {Failure(FailureCode::ActorElsewhere, "there", "17"),
                                             Payload{call::Encoding::Cbor, "x"},
                                             call::QueueSent{.id = 5, .reply = Payload{}},
                                             true,
                                             std::monostate{},
                                             details};
  for (const PeerOutcome& outcome : outcomes) {
    auto received = decodeOutcome(encodeOutcome(outcome));
    ASSERT_TRUE(received.ok()) << outcome.index();
    EXPECT_EQ(received->index(), outcome.index());
  }
  const auto failure = std::get<Failure>(*decodeOutcome(encodeOutcome(outcomes.front())));
  EXPECT_TRUE(failure.is(FailureCode::ActorElsewhere));
  EXPECT_EQ(failure.metadata, "17");
  EXPECT_TRUE(failure.isRetryable);
  EXPECT_EQ(failure.httpStatus, 503);
  const auto arrived = std::get<call::ActorDetails>(*decodeOutcome(encodeOutcome(details)));
  EXPECT_EQ(arrived.alarmMs, details.alarmMs);
  EXPECT_EQ(arrived.lastError->message, "no");
}

TEST(PeerMessage, bytes_that_were_cut_or_changed_are_refused_or_harmless) {
  const Fields fields;
  const Bytes whole = encodeRequest(fullRequest(fields));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decodeRequest(ByteView(whole).first(size)).ok()) << size;
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = whole;
      changed[i] ^= static_cast<std::byte>(1 << bit);
      (void)decodeRequest(changed);
      (void)decodeOutcome(changed);
    }
  }
}

TEST(Handshake, a_proof_is_of_one_side_one_key_and_one_conversation) {
  const Hello hello{.caller = 1, .meant = 2, .nonce = randomNonce()};
  const Welcome welcome{.protocol = 1, .answerer = 2, .nonce = randomNonce()};
  const std::string proof = proofOf(Side::Caller, "key", hello, welcome);
  EXPECT_TRUE(isProof(proof, Side::Caller, "key", hello, welcome));
  EXPECT_FALSE(isProof(proof, Side::Answerer, "key", hello, welcome)) << "sent back";
  EXPECT_FALSE(isProof(proof, Side::Caller, "other", hello, welcome));
  EXPECT_FALSE(isProof("", Side::Caller, "key", hello, welcome));
  Hello later = hello;
  later.nonce = randomNonce();
  EXPECT_FALSE(isProof(proof, Side::Caller, "key", later, welcome)) << "said again";
  Welcome another = welcome;
  another.answerer = 3;
  EXPECT_FALSE(isProof(proof, Side::Caller, "key", hello, another));
}

TEST(Handshake, nodes_agree_on_the_newest_version_that_both_speak_or_say_why_not) {
  EXPECT_EQ(*chooseProtocol({.protocolMin = 1, .protocol = kProtocol + 7}), kProtocol);
  const auto refused = chooseProtocol({.protocolMin = kProtocol + 1, .protocol = kProtocol + 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::VersionMismatch);
  EXPECT_NE(refused.error().message.find("2 to 3"), std::string::npos) << refused.error().message;
}

TEST(Handshake, greetings_come_through_and_something_else_is_recognised) {
  const Hello hello{.caller = 1, .meant = 2, .nonce = randomNonce()};
  const auto received = decodeHello(encode(hello));
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->caller, 1u);
  EXPECT_EQ(received->meant, 2u);
  EXPECT_EQ(received->nonce, hello.nonce);
  EXPECT_FALSE(decodeHello(asBytes("GET / HTTP/1.1\r\n\r\n")).ok());
  EXPECT_FALSE(decodeWelcome(asBytes("short")).ok());
}

// ---- Connections

/// A host that answers each action with its name, or as the test says.
class EchoHost final : public call::Router {
 public:
  std::function<call::Reply(const ActionRequest&)> onRun;
  int calls = 0;

  call::Reply run(ActionRequest request) override {
    ++calls;
    if (onRun) return onRun(request);
    return Payload{call::Encoding::Json, request.action};
  }
  call::Outcome<call::QueueSent> send(call::QueueSend) override { return call::QueueSent{.id = 3}; }
  call::Outcome<bool> resolve(const call::ActorAddress&, call::Existence, std::optional<Payload>,
                              const call::Visit*, call::Waiting) override {
    return true;
  }
  call::Outcome<std::monostate> destroy(const call::ActorAddress&) override {
    return std::monostate{};
  }
  call::Outcome<std::monostate> sleep(const call::ActorAddress&) override {
    return std::monostate{};
  }
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override {
    return call::ActorDetails{.info = {.actor = actor, .bytes = 42}};
  }
  call::Outcome<call::ActorList> list(const std::string&, const std::string&,
                                      std::size_t) override {
    return call::ActorList{};
  }
  std::unique_ptr<call::ConnectionHandle> connect(call::ConnectRequest,
                                                  std::shared_ptr<call::ConnectionPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest,
                                            std::shared_ptr<call::HttpPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::WebSocketHandle> openSocket(call::HttpRequest,
                                                    std::shared_ptr<call::WebSocketPeer>) override {
    return nullptr;
  }
};

constexpr Incarnation kServer = 7;
constexpr Incarnation kClient = 9;
const call::ActorAddress kActor{.type = "t", .key = {"k"}};

class PeerTest : public testing::Test {
 protected:
  PeerTest() { makeServer("key"); }
  ~PeerTest() override {
    run([&] {
      peers.close();
      if (server) server->close();
    });
    server.reset();
    loop.runUntilIdle();
  }

  void makeServer(const std::string& key) {
    if (server) run([&] { server->close(); });
    server.emplace(loop, PeerServerOptions{.key = key, .self = [this] { return self; }});
    server->attach(host);
    ASSERT_TRUE(server->listen().ok());
  }
  void run(const std::function<void()>& body) {
    bool done = false;
    loop.spawn("test", [&] {
      body();
      done = true;
    });
    loop.runUntil([&] { return done; });
  }
  store::NodeInfo node(Incarnation incarnation = kServer) {
    return {.incarnation = incarnation,
            .facts = {.name = "server", .address = "127.0.0.1:" + std::to_string(server->port())}};
  }
  call::Reply ask(ActionRequest request, Incarnation meant = kServer) {
    request.actor = kActor;
    return peers.routerTo(node(meant))->run(std::move(request));
  }
  std::string textOf(const call::Reply& reply) {
    const auto* failure = std::get_if<Failure>(&reply);
    return failure != nullptr ? failure->group + "." + failure->code
                              : std::get<Payload>(reply).bytes;
  }

  SystemClock clock;
  fiber::Loop loop{clock};
  Incarnation self = kServer;
  EchoHost host;
  std::optional<PeerServer> server;
  TcpPeers peers{loop, {.key = "key", .self = [] { return kClient; }, .connectTime = 2s}};
};

TEST_F(PeerTest, a_call_is_run_by_the_other_nodes_host_and_its_outcome_comes_back) {
  run([&] {
    EXPECT_EQ(textOf(ask({.action = "hello"})), "hello");
    const auto router = peers.routerTo(node());
    EXPECT_EQ(std::get<call::QueueSent>(router->send({.actor = kActor})).id, 3);
    EXPECT_TRUE(std::get<bool>(router->resolve(kActor, call::Existence::Get, std::nullopt)));
    EXPECT_TRUE(std::holds_alternative<std::monostate>(router->destroy(kActor)));
    EXPECT_TRUE(std::holds_alternative<std::monostate>(router->sleep(kActor)));
    EXPECT_EQ(std::get<call::ActorDetails>(router->info(kActor)).info.bytes, 42u);
  });
}

TEST_F(PeerTest, many_calls_share_a_connection_and_may_end_in_another_order) {
  host.onRun = [](const ActionRequest& request) -> call::Reply {
    if (request.action == "0") fiber::sleepFor(20ms);
    return Payload{call::Encoding::Json, request.action};
  };
  std::vector<std::string> order;
  run([&] {
    constexpr int kCalls = 200;
    int running = kCalls;
    fiber::Event ended;
    for (int i = 0; i < kCalls; ++i) {
      loop.spawn("caller", [&, i] {
        EXPECT_EQ(textOf(ask({.action = std::to_string(i)})), std::to_string(i));
        order.push_back(std::to_string(i));
        if (--running == 0) ended.notifyAll();
      });
    }
    fiber::waitUntil(ended, [&] { return running == 0; });
  });
  EXPECT_EQ(order.back(), "0") << "the one that takes long holds up nobody";
}

TEST_F(PeerTest, large_arguments_and_results_come_through) {
  const std::string large(3'000'000, 'x');
  host.onRun = [](const ActionRequest& request) -> call::Reply { return request.arguments; };
  run([&] {
    EXPECT_EQ(textOf(ask({.action = "echo", .arguments = {call::Encoding::Json, large}})), large);
  });
}

TEST_F(PeerTest, failures_come_back_as_they_are) {
  host.onRun = [](const ActionRequest&) -> call::Reply {
    return Failure(FailureCode::ActorElsewhere, "not here", "12");
  };
  run([&] {
    const auto failure = std::get<Failure>(ask({.action = "x"}));
    EXPECT_TRUE(failure.is(FailureCode::ActorElsewhere));
    EXPECT_EQ(failure.metadata, "12");
  });
}

TEST_F(PeerTest, who_does_not_know_the_secret_gets_nothing_done) {
  makeServer("another key");
  run([&] { EXPECT_EQ(textOf(ask({.action = "hello"})), "actor.node_unreachable"); });
  EXPECT_EQ(host.calls, 0);
}

TEST_F(PeerTest, a_caller_that_pretends_to_know_the_secret_is_refused) {
  // It sends a proof of its own making, whatever the answerer has proved.
  run([&] {
    boost::asio::ip::tcp::socket socket(loop.context());
    socket.connect({boost::asio::ip::address_v4::loopback(), server->port()});
    const auto link = std::make_shared<PeerLink>(loop, std::move(socket));
    const Hello hello{.caller = kClient, .meant = kServer, .nonce = randomNonce()};
    (void)link->send(FrameType::Hello, encode(hello));
    const auto welcome = link->receive();
    ASSERT_TRUE(welcome && welcome->type == FrameType::Welcome);
    (void)link->send(FrameType::Proof, asBytes(decodeWelcome(welcome->body)->proof));
    const auto answer = link->receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->type, FrameType::Refused);
    Bytes body;
    ByteWriter out(body);
    out.varint(1);
    out.bytes(encodeRequest(ActionRequest{.actor = kActor, .action = "sneak"}));
    (void)link->send(FrameType::Call, body);
    fiber::yield();
    link->close();
  });
  EXPECT_EQ(host.calls, 0);
}

TEST_F(PeerTest, an_address_where_another_incarnation_answers_is_found_out) {
  run([&] {
    EXPECT_EQ(textOf(ask({.action = "hello"}, kServer + 1)), "actor.elsewhere");
    self = 0;
    EXPECT_EQ(textOf(ask({.action = "hello"}, kServer)), "actor.elsewhere")
        << "it is no member now";
    self = kServer;
    EXPECT_EQ(textOf(ask({.action = "hello"}, kServer)), "hello") << "and comes back";
  });
}

TEST_F(PeerTest, a_node_that_cannot_be_reached_has_certainly_done_nothing) {
  store::NodeInfo absent = node(11);
  run([&] {
    server->close();
    const auto failure =
        std::get<Failure>(peers.routerTo(absent)->run({.actor = kActor, .action = "x"}));
    EXPECT_TRUE(failure.is(FailureCode::NodeUnreachable));
    EXPECT_TRUE(failure.isRetryable);
    absent.facts.address = "no.such.host.invalid:1";
    absent.incarnation = 12;
    EXPECT_EQ(textOf(peers.routerTo(absent)->run({.actor = kActor, .action = "x"})),
              "actor.node_unreachable");
  });
}

TEST_F(PeerTest, of_a_call_whose_connection_breaks_nobody_knows_the_outcome) {
  host.onRun = [&](const ActionRequest&) -> call::Reply {
    // The node vanishes while it runs the call.
    loop.spawn("vanish", [this] { server->close(); });
    fiber::sleepFor(10ms);
    return Payload{};
  };
  run([&] {
    const auto failure = std::get<Failure>(ask({.action = "x"}));
    EXPECT_TRUE(failure.is(FailureCode::OutcomeUnknown));
    EXPECT_FALSE(failure.isRetryable);
  });
}

TEST_F(PeerTest, of_a_node_that_ends_each_call_is_known_to_be_done_or_not) {
  host.onRun = [](const ActionRequest& request) -> call::Reply {
    if (request.action == "long") fiber::sleepFor(30ms);
    return Payload{call::Encoding::Json, request.action};
  };
  run([&] {
    int running = 0;
    int done = 0;
    int refused = 0;
    fiber::Event ended;
    const auto spawn = [&](std::function<void()> body) {
      ++running;
      loop.spawn("caller", [&, body = std::move(body)] {
        body();
        --running;
        ended.notifyAll();
      });
    };
    for (int i = 0; i < 4; ++i) {
      spawn([&] { EXPECT_EQ(textOf(ask({.action = "long"})), "long"); });
      spawn([&] {
        while (refused == 0) {
          const std::string outcome = textOf(ask({.action = "short"}));
          if (outcome == "short") {
            ++done;
            continue;
          }
          ++refused;
          EXPECT_TRUE(outcome == "actor.shutting_down" || outcome == "actor.node_unreachable")
              << outcome;
        }
      });
    }
    while (done < 100) fiber::sleepFor(1ms);
    server->end();
    fiber::waitUntil(ended, [&] { return running == 0; });
    EXPECT_GE(refused, 1);
  });
}

TEST_F(PeerTest, calls_to_a_node_that_has_ended_are_given_up_at_once) {
  fiber::Event never;
  host.onRun = [&](const ActionRequest&) -> call::Reply {
    never.wait();
    return Payload{};
  };
  run([&] {
    std::string outcome;
    fiber::Event ended;
    loop.spawn("caller", [&] {
      outcome = textOf(ask({.action = "x"}));
      ended.notifyAll();
    });
    while (host.calls == 0) fiber::sleepFor(1ms);
    store::Renewal renewal;
    renewal.version = kServer + 1;
    peers.keepOnly(*NodeList().updated(renewal));
    fiber::waitUntil(ended, [&] { return !outcome.empty(); });
    EXPECT_EQ(outcome, "actor.outcome_unknown");
    never.notifyAll();
  });
}

TEST_F(PeerTest, a_call_ends_when_its_time_is_up) {
  fiber::Event never;
  host.onRun = [&](const ActionRequest&) -> call::Reply {
    never.wait();
    return Payload{};
  };
  run([&] {
    EXPECT_EQ(textOf(ask({.action = "x", .timeout = 10ms})), "actor.outcome_unknown");
    never.notifyAll();
  });
}

TEST_F(PeerTest, something_else_that_talks_to_the_port_does_no_harm) {
  run([&] {
    boost::asio::ip::tcp::socket socket(loop.context());
    socket.connect({boost::asio::ip::address_v4::loopback(), server->port()});
    const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    boost::asio::write(socket, boost::asio::buffer(text));
    char byte = 0;
    boost::system::error_code error;
    fiber::suspend([&](fiber::Waker waker) {
      socket.async_read_some(boost::asio::buffer(&byte, 1), [&, waker](auto outcome, auto) mutable {
        error = outcome;
        waker.wake();
      });
    });
    EXPECT_TRUE(error) << "it is hung up on";
    EXPECT_EQ(textOf(ask({.action = "hello"})), "hello");
  });
}

}  // namespace
}  // namespace skep::cluster
