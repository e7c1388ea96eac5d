// A server that is killed again and again, or whose store is, while clients call over HTTP and WebSockets, send
// messages, set timers and listen: every reply that one received is still true afterwards, every event that
// one saw follows from what is stored, and what was promised for later happens.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "http_client.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/temp_directory.h"
#include "websocket_client.h"

namespace skep {
namespace {

using Json = nlohmann::json;
using boost::beast::http::verb;
using testing::HttpClient;
using Numbers = std::set<std::int64_t>;

constexpr int kActors = 4;

/// What clients know of one actor.
struct Known {
  std::mutex mutex;
  std::map<std::string, Numbers> promised;  // acknowledged, by the kind of the entry
  Numbers heard;                            // in events
  void note(Numbers& numbers, std::int64_t number) {
    std::lock_guard lock(mutex);
    numbers.insert(number);
  }
  void promise(const std::string& kind, std::int64_t number) {
    std::lock_guard lock(mutex);
    promised[kind].insert(number);
  }
};

/// What asks for an entry of one kind.
struct Way {
  const char* kind;
  const char* path;
  std::string body;
};
Way wayOf(std::int64_t turn, std::int64_t number) {
  const std::string text = std::to_string(number);
  const std::string list = "[" + text + "]";
  switch (turn % 6) {
    case 0:
      return {"order", "/queues/orders", text};
    case 1:
      return {"timer", "/actions/plan", "[" + text + "," + std::to_string(number % 200) + "]"};
    case 2:
      return {"raw", "/request/entries", text};
    case 3:
      return {"pair", "/actions/put", list};
    case 4:
      return {"state", "/actions/keep", list};
    default:
      return {"add", "/actions/add", list};
  }
}

enum class Store { Embedded, Postgres };

class ServerKillTest : public ::testing::TestWithParam<Store> {
 protected:
  ServerKillTest() {
    if (GetParam() == Store::Postgres) postgres_.emplace();
  }
  std::string storeUrl() const {
    return postgres_ ? postgres_->url() : "embedded:" + directory_ / "store";
  }
  void start() {
    server_ = std::make_unique<testing::ChildProcess>(
        std::vector<std::string>{SKEP_LEDGER, "--store", storeUrl(), "--listen", "0", "--threads",
                                 "2", "--log-level", "off"});
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    port_ = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  }
  static std::string pathOf(int actor) { return "/actors/ledger/a" + std::to_string(actor); }

  /// Asks for one thing after the other until the server is gone, or the test is over. Failures that say that
  /// they may be tried again are expected while `storeMayFail_`.
  void keepAsking(int actor) {
    HttpClient client(port_);
    for (int i = 0; !isOver_; ++i) {
      const std::int64_t number = ++numbers_;
      const Way way = wayOf(i, number);
      const std::string reply = client.ask(verb::post, pathOf(actor) + way.path, way.body);
      if (client.status == 0) return;
      if (client.status < 300) {
        known_[actor].promise(way.kind, number);
        ++acknowledged_;
      } else {
        EXPECT_TRUE(storeMayFail_) << reply;
        EXPECT_EQ(client.status / 100, 5u) << reply;
        ++refused_;
      }
    }
  }
  /// Calls over a WebSocket, and listens, until the server is gone, or the test is over.
  void keepTalking(int actor) {
    Known& known = known_[actor];
    while (!isOver_) {
      testing::BeastClient client(port_, pathOf(actor) + "/connect");
      if (!client.isOpen() || client.connect({{"subscribe", {"added"}}}).is_null()) {
        if (!storeMayFail_) return;
        std::this_thread::yield();
        continue;
      }
      std::map<std::int64_t, std::int64_t> asked;
      const auto call = [&](std::int64_t id) {
        asked[id] = ++numbers_;
        client.send(
            {{"type", "call"}, {"id", id}, {"action", "add"}, {"args", Json::array({asked[id]})}});
      };
      call(1);
      while (!isOver_) {
        const Json message = client.receive();
        if (message.is_null()) break;
        const std::string type = message.value("type", "");
        if (type == "event") known.note(known.heard, message["value"].get<std::int64_t>());
        if (type == "reply") {
          const auto id = message["id"].get<std::int64_t>();
          known.promise("add", asked[id]);
          ++acknowledgedBySocket_;
          call(id + 1);
        } else if (type == "error" && message.contains("id")) {
          EXPECT_TRUE(storeMayFail_) << message;
          call(message["id"].get<std::int64_t>() + 1);
        }
      }
      if (!storeMayFail_) return;
    }
  }
  void beginClients() {
    isOver_ = false;
    for (int actor = 0; actor < kActors; ++actor) {
      clients_.emplace_back([this, actor] { keepTalking(actor); });
      for (int i = 0; i < 2; ++i) clients_.emplace_back([this, actor] { keepAsking(actor); });
    }
  }
  void joinClients() {
    for (std::thread& client : clients_) client.join();
    clients_.clear();
  }
  void waitForMore(std::size_t count) {
    const std::size_t before = acknowledged_;
    while (acknowledged_ < before + count) std::this_thread::yield();
  }

  /// The numbers of the entries of each kind. Each number is there once.
  std::map<std::string, Numbers> entriesOf(HttpClient& client, int actor) {
    std::map<std::string, Numbers> entries;
    const Json all = Json::parse(client.ask(verb::post, pathOf(actor) + "/actions/entries", "[]"));
    for (const Json& entry : all) {
      const bool isNew = entries[entry["kind"].get<std::string>()]
                             .insert(entry["number"].get<std::int64_t>())
                             .second;
      EXPECT_TRUE(isNew) << entry << " happened twice";
      EXPECT_GE(entry["atMs"].get<std::int64_t>(), entry["dueMs"].get<std::int64_t>()) << entry;
    }
    return entries;
  }
  static bool contains(const Numbers& all, const Numbers& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
  }
  void verify() {
    const auto patienceEnds = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    HttpClient client(port_);
    for (int actor = 0; actor < kActors; ++actor) {
      Known& known = known_[actor];
      auto entries = entriesOf(client, actor);
      for (const char* kind : {"add", "raw", "pair", "state"}) {
        EXPECT_TRUE(contains(entries[kind], known.promised[kind]))
            << "an acknowledged write is lost: " << kind;
      }
      EXPECT_TRUE(contains(entries["add"], known.heard)) << "an event was not true";
      // What is for later comes.
      while (!contains(entries["order"], known.promised["order"]) ||
             !contains(entries["timer"], known.promised["timer"])) {
        ASSERT_LT(std::chrono::steady_clock::now(), patienceEnds) << "a promise is not kept";
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        entries = entriesOf(client, actor);
      }
    }
  }
  void expectAllWaysWereUsed() {
    for (const Known& known : known_) {
      EXPECT_EQ(known.promised.size(), 6u);
      EXPECT_FALSE(known.heard.empty()) << "nobody listened";
    }
    EXPECT_GT(acknowledgedBySocket_, 0u);
  }

  testing::TempDirectory directory_;
  std::optional<testing::PostgresServer> postgres_;
  std::unique_ptr<testing::ChildProcess> server_;
  std::uint16_t port_ = 0;
  std::vector<std::thread> clients_;
  std::atomic<bool> isOver_ = false;
  std::atomic<bool> storeMayFail_ = false;
  std::atomic<std::int64_t> numbers_ = 0;
  std::atomic<std::size_t> acknowledged_ = 0;
  std::atomic<std::size_t> acknowledgedBySocket_ = 0;
  std::atomic<std::size_t> refused_ = 0;
  std::array<Known, kActors> known_;
};

TEST_P(ServerKillTest, what_clients_saw_is_true_and_what_they_were_promised_happens) {
  const unsigned rounds = GetParam() == Store::Embedded ? 8 : 4;
  for (unsigned round = 0; round < rounds; ++round) {
    start();
    beginClients();
    waitForMore(200 + 150 * round);
    server_->kill();
    joinClients();
    server_->wait();

    start();
    verify();
    ::kill(server_->pid(), SIGTERM);
    EXPECT_EQ(server_->wait(), 0);
  }
  expectAllWaysWereUsed();
}

INSTANTIATE_TEST_SUITE_P(On, ServerKillTest, ::testing::Values(Store::Embedded, Store::Postgres),
                         [](const auto& store) {
                           return store.param == Store::Embedded ? "embedded" : "postgres";
                         });

/// The server stays; it is the store that goes and comes.
class StoreKillTest : public ServerKillTest {
 protected:
  unsigned ready() {
    HttpClient client(port_);
    client.ask(verb::get, "/ready");
    return client.status;
  }
};

TEST_P(StoreKillTest, a_server_whose_store_goes_and_comes_recovers_and_has_lost_nothing) {
  start();
  beginClients();
  waitForMore(300);
  storeMayFail_ = true;
  using Stop = testing::PostgresServer::Stop;
  for (const Stop how : {Stop::Fast, Stop::Immediate, Stop::Kill}) {
    postgres_->stop(how);
    while (ready() != 503) std::this_thread::yield();
    postgres_->start();
    while (ready() != 200) std::this_thread::yield();
    // By itself, for the clients that were there before.
    waitForMore(300);
  }
  isOver_ = true;
  joinClients();
  storeMayFail_ = false;
  verify();
  ::kill(server_->pid(), SIGTERM);
  EXPECT_EQ(server_->wait(), 0);
  start();
  verify();
  expectAllWaysWereUsed();
}

INSTANTIATE_TEST_SUITE_P(On, StoreKillTest, ::testing::Values(Store::Postgres),
                         [](const auto&) { return "postgres"; });

}  // namespace
}  // namespace skep
