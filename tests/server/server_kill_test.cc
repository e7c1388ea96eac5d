// A server that is killed again and again while clients call, send messages, set timers and listen:
// every reply that one received is still true afterwards, every event that one saw follows from what
// is stored, and what was promised for later happens.

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
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "http_client.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/temp_directory.h"
#include "websocket_client.h"

namespace skep {
namespace {

using Json = nlohmann::json;
using boost::beast::http::verb;
using testing::HttpClient;
using Numbers = std::set<std::int64_t>;

constexpr int kActors = 4;
constexpr int kRounds = 8;

/// What clients know of one actor.
struct Known {
  std::mutex mutex;
  Numbers added;    // acknowledged
  Numbers ordered;  // acknowledged
  Numbers planned;  // acknowledged
  Numbers heard;    // in events
  void note(Numbers& numbers, std::int64_t number) {
    std::lock_guard lock(mutex);
    numbers.insert(number);
  }
};

class ServerKillTest : public ::testing::Test {
 protected:
  void start() {
    server_ = std::make_unique<testing::ChildProcess>(
        std::vector<std::string>{SKEP_LEDGER, "--store", "embedded:" + directory_ / "store",
                                 "--listen", "0", "--threads", "2"});
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    port_ = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  }
  static std::string pathOf(int actor) { return "/actors/ledger/a" + std::to_string(actor); }

  /// Asks for one thing after the other until the server is gone.
  void keepAsking(int actor) {
    HttpClient client(port_);
    Known& known = known_[actor];
    for (int i = 0;; ++i) {
      const std::int64_t number = ++numbers_;
      const std::string text = std::to_string(number);
      Numbers* promised = &known.added;
      if (i % 4 == 1) {
        promised = &known.ordered;
        client.ask(verb::post, pathOf(actor) + "/queues/orders", text);
      } else if (i % 4 == 2) {
        promised = &known.planned;
        client.ask(verb::post, pathOf(actor) + "/actions/plan",
                   "[" + text + "," + std::to_string(number % 200) + "]");
      } else {
        client.ask(verb::post, pathOf(actor) + "/actions/add", "[" + text + "]");
      }
      if (client.status == 0) return;
      EXPECT_LT(client.status, 300u);
      known.note(*promised, number);
      ++acknowledged_;
    }
  }
  /// Listens until the server is gone.
  void keepListening(int actor) {
    testing::BeastClient client(port_, pathOf(actor) + "/connect");
    Known& known = known_[actor];
    client.connect({{"subscribe", {"added"}}});
    for (;;) {
      const Json message = client.receive();
      if (message.is_null()) return;
      if (message.value("type", "") == "event")
        known.note(known.heard, message["value"].get<std::int64_t>());
    }
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
    HttpClient client(port_);
    for (int actor = 0; actor < kActors; ++actor) {
      const Known& known = known_[actor];
      auto entries = entriesOf(client, actor);
      EXPECT_TRUE(contains(entries["add"], known.added)) << "an acknowledged call is lost";
      EXPECT_TRUE(contains(entries["add"], known.heard)) << "an event was not true";
      // What is for later comes.
      while (!contains(entries["order"], known.ordered) ||
             !contains(entries["timer"], known.planned)) {
        ASSERT_LT(std::chrono::steady_clock::now(), patienceEnds_) << "a promise is not kept";
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        entries = entriesOf(client, actor);
      }
    }
  }

  testing::TempDirectory directory_;
  std::unique_ptr<testing::ChildProcess> server_;
  std::uint16_t port_ = 0;
  std::atomic<std::int64_t> numbers_ = 0;
  std::atomic<std::size_t> acknowledged_ = 0;
  std::array<Known, kActors> known_;
  std::chrono::steady_clock::time_point patienceEnds_;
};

TEST_F(ServerKillTest, what_clients_saw_is_true_and_what_they_were_promised_happens) {
  for (int round = 0; round < kRounds; ++round) {
    start();
    acknowledged_ = 0;
    std::vector<std::thread> clients;
    for (int actor = 0; actor < kActors; ++actor) {
      clients.emplace_back([this, actor] { keepListening(actor); });
      for (int i = 0; i < 2; ++i) clients.emplace_back([this, actor] { keepAsking(actor); });
    }
    while (acknowledged_ < 200u + 150u * static_cast<unsigned>(round)) std::this_thread::yield();
    server_->kill();
    for (std::thread& client : clients) client.join();
    server_->wait();

    start();
    patienceEnds_ = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    verify();
    ::kill(server_->pid(), SIGTERM);
    EXPECT_EQ(server_->wait(), 0);
  }
  std::size_t heard = 0;
  for (const Known& known : known_) heard += known.heard.size();
  EXPECT_GT(heard, 0u) << "the clients listened to nothing";
}

}  // namespace
}  // namespace skep
