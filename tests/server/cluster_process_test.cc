// Real nodes and a real PostgreSQL: processes that are killed, frozen and stopped while clients go on.

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http_client.h"
#include "skep/base/check.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using boost::beast::http::verb;
using Time = std::chrono::steady_clock::time_point;

constexpr int kActors = 24;

std::string actorName(int actor) {
  return "counter/a" + std::to_string(actor);
}

class ClusterProcesses : public ::testing::Test {
 protected:
  struct Node {
    std::unique_ptr<ChildProcess> process;
    std::uint16_t port = 0;
  };

  ClusterProcesses() { std::ofstream(secretFile()) << "a-secret-of-this-cluster\n"; }

  std::string secretFile() const { return directory_ / "secret"; }
  std::vector<std::string> command(const std::string& name, const std::string& secret) const {
    return {SKEP_COUNTER,
            "--store",
            postgres_.url(),
            "--listen",
            "127.0.0.1:0",
            "--advertise",
            "127.0.0.1:0",
            "--cluster-secret-file",
            secret,
            "--node-name",
            name,
            "--threads",
            "2",
            "--log-level",
            "off"};
  }
  /// Ends the test program when the node does not start: nothing would answer.
  Node start(const std::string& name) {
    Node node{.process = std::make_unique<ChildProcess>(command(name, secretFile()))};
    const auto line = node.process->readLine();
    SKEP_CHECK(line.has_value(), "%s does not start", name.c_str());
    node.port = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
    return node;
  }
  void startThree() {
    for (const char* name : {"node-1", "node-2", "node-3"}) nodes_.push_back(start(name));
    // Each has renewed once more, and so heard of the others.
    const std::string before = postgres_.query("SELECT sum(beat) FROM skep.node");
    while (postgres_.query("SELECT min(beat) >= " + before + " + 2 FROM skep.node") != "t") {
      std::this_thread::yield();
    }
  }
  /// The value of an actor as a node tells it; waits until it tells one, for a while.
  std::int64_t valueOf(const Node& node, int actor) {
    const Time end = std::chrono::steady_clock::now() + 30s;
    std::string text;
    while (std::chrono::steady_clock::now() < end) {
      HttpClient client(node.port);
      text = client.call(actorName(actor), "value");
      if (client.status == 200) return std::stoll(text);
      std::this_thread::yield();
    }
    ADD_FAILURE() << actorName(actor) << " has no value: " << text;
    return -1;
  }
  /// Who owns how many actors, as the store has it.
  std::string owners() {
    return postgres_.query(
        "SELECT n.name, count(*) FROM skep.head h JOIN skep.nodes n ON n.incarnation = h.owner"
        " WHERE h.id > 0 GROUP BY 1 ORDER BY 1");
  }
  std::string states() {
    return postgres_.query("SELECT name, state FROM skep.nodes ORDER BY incarnation");
  }

  TempDirectory directory_;
  PostgresServer postgres_;
  std::vector<Node> nodes_;
};

/// Clients that increment all actors through some nodes, and count what they are told.
class Load {
 public:
  explicit Load(std::vector<std::uint16_t> ports) {
    for (std::size_t i = 0; i < ports.size(); ++i) {
      threads_.emplace_back([this, port = ports[i], i] { run(port, static_cast<int>(i)); });
    }
  }
  ~Load() { stop(); }
  void stop() {
    isOver_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  /// Waits until so many more have been done.
  void waitForMore(int count) {
    const int before = total();
    while (total() < before + count) std::this_thread::yield();
  }
  int total() const { return total_; }

  std::array<std::atomic<int>, kActors> done{};
  std::array<std::atomic<int>, kActors> unknown{};
  std::atomic<int> failed = 0;  // that say so, of any kind
  std::atomic<std::int64_t> longestMs = 0;
  std::mutex mutex;
  std::string lastFailure;

 private:
  void run(std::uint16_t port, int first) {
    HttpClient client(port);
    for (int i = first; !isOver_; ++i) {
      const int actor = i % kActors;
      const Time begin = std::chrono::steady_clock::now();
      const std::string text = client.call(actorName(actor), "increment", "[1]");
      const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::steady_clock::now() - begin)
                                  .count();
      if (ms > longestMs) longestMs = ms;
      if (client.status == 200) {
        ++done[static_cast<std::size_t>(actor)];
        ++total_;
        continue;
      }
      ++failed;
      if (text.find("outcome_unknown") != std::string::npos ||
          text.find("broken") != std::string::npos) {
        ++unknown[static_cast<std::size_t>(actor)];
      }
      const std::lock_guard lock(mutex);
      lastFailure = text;
    }
  }

  std::atomic<bool> isOver_ = false;
  std::atomic<int> total_ = 0;
  std::vector<std::thread> threads_;
};

TEST_F(ClusterProcesses, any_node_answers_for_every_actor_and_each_actor_has_one_owner) {
  startThree();
  for (int actor = 0; actor < kActors; ++actor) {
    for (const Node& node : nodes_) {
      HttpClient client(node.port);
      client.call(actorName(actor), "increment", "[1]");
      EXPECT_EQ(client.status, 200u);
    }
    for (const Node& node : nodes_) EXPECT_EQ(valueOf(node, actor), 3);
  }
  EXPECT_EQ(postgres_.query("SELECT max(epoch) FROM skep.head WHERE id > 0"), "1")
      << "nobody has taken anything from anybody";
  EXPECT_NE(owners().find("node-1"), std::string::npos);
  EXPECT_NE(owners().find("node-2"), std::string::npos);
  EXPECT_NE(owners().find("node-3"), std::string::npos) << owners();
}

TEST_F(ClusterProcesses, what_a_live_node_owns_is_not_removed_behind_its_back) {
  nodes_.push_back(start("node-1"));
  HttpClient client(nodes_[0].port);
  EXPECT_EQ(client.call(actorName(0), "increment", "[5]"), "5");
  const auto remove = [&] {
    return ChildProcess({SKEP_COMMAND, "rm", actorName(0), "--yes", "--store", postgres_.url()})
        .wait();
  };
  EXPECT_EQ(remove(), 1);
  EXPECT_EQ(client.call(actorName(0), "value"), "5");
  ASSERT_EQ(::kill(nodes_[0].process->pid(), SIGTERM), 0);
  EXPECT_EQ(nodes_[0].process->wait(), 0);
  EXPECT_EQ(remove(), 0);
}

TEST_F(ClusterProcesses,
       a_killed_nodes_actors_are_back_elsewhere_and_nothing_acknowledged_is_lost) {
  startThree();
  Load load({nodes_[0].port, nodes_[0].port, nodes_[1].port, nodes_[1].port});
  load.waitForMore(400);
  const Time killed = std::chrono::steady_clock::now();
  nodes_[2].process->kill();
  std::vector<std::int64_t> before(kActors);
  for (int actor = 0; actor < kActors; ++actor)
    before[static_cast<std::size_t>(actor)] = valueOf(nodes_[0], actor);
  std::cout << "all actors answer "
            << std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::steady_clock::now() - killed)
                   .count()
            << " ms after the kill\n";
  load.waitForMore(400);
  load.stop();
  for (int actor = 0; actor < kActors; ++actor) {
    const auto place = static_cast<std::size_t>(actor);
    const std::int64_t value = valueOf(nodes_[1], actor);
    EXPECT_GE(value, load.done[place]) << "an acknowledged increment is lost";
    EXPECT_LE(value, load.done[place] + load.unknown[place]) << "something was done twice";
  }
  EXPECT_EQ(owners().find("node-3"), std::string::npos) << owners();
  EXPECT_NE(states().find("node-3|dead"), std::string::npos) << states();
}

TEST_F(ClusterProcesses, a_node_that_was_frozen_gives_no_old_answer_when_it_goes_on) {
  startThree();
  for (int actor = 0; actor < kActors; ++actor) {
    HttpClient client(nodes_[0].port);
    client.call(actorName(actor), "increment", "[1]");
    ASSERT_EQ(client.status, 200u);
  }
  ASSERT_EQ(::kill(nodes_[2].process->pid(), SIGSTOP), 0);
  // Asked before it goes on: it finds them in its sockets, after others have moved its actors on.
  std::vector<std::thread> waiting;
  std::atomic<int> old = 0;
  for (int actor = 0; actor < kActors; ++actor) {
    const Time end = std::chrono::steady_clock::now() + 30s;
    std::int64_t value = 0;
    while (value < 2 && std::chrono::steady_clock::now() < end) {
      HttpClient client(nodes_[0].port);
      const std::string text = client.call(actorName(actor), "increment", "[1]");
      if (client.status == 200) value = std::stoll(text);
    }
    ASSERT_GE(value, 2) << actorName(actor);
    waiting.emplace_back([this, actor, &old] {
      HttpClient client(nodes_[2].port);
      const std::string text = client.call(actorName(actor), "value");
      if (client.status == 200 && std::stoll(text) < 2) ++old;
    });
  }
  ASSERT_EQ(::kill(nodes_[2].process->pid(), SIGCONT), 0);
  for (std::thread& thread : waiting) thread.join();
  EXPECT_EQ(old, 0);
  for (int actor = 0; actor < kActors; ++actor) EXPECT_GE(valueOf(nodes_[2], actor), 2);
  EXPECT_NE(states().find("node-3|dead"), std::string::npos) << states();
  EXPECT_NE(states().find("node-3|live"), std::string::npos) << "it has joined again: " << states();
}

TEST_F(ClusterProcesses, a_node_that_is_told_to_end_hands_over_without_a_failed_action) {
  startThree();
  Load load({nodes_[0].port, nodes_[0].port, nodes_[1].port, nodes_[1].port});
  load.waitForMore(400);
  ASSERT_EQ(::kill(nodes_[2].process->pid(), SIGTERM), 0);
  EXPECT_EQ(nodes_[2].process->wait(), 0);
  load.waitForMore(400);
  load.stop();
  EXPECT_EQ(load.failed, 0) << load.lastFailure;
  std::cout << "the slowest action took " << load.longestMs << " ms\n";
  for (int actor = 0; actor < kActors; ++actor) {
    EXPECT_EQ(valueOf(nodes_[0], actor), load.done[static_cast<std::size_t>(actor)]);
  }
  EXPECT_NE(states().find("node-3|left"), std::string::npos) << states();
  EXPECT_EQ(owners().find("node-3"), std::string::npos) << owners();
}

TEST_F(ClusterProcesses, a_second_node_of_the_same_name_does_not_start_and_harms_nobody) {
  nodes_.push_back(start("node-1"));
  ChildProcess twin(command("node-1", secretFile()));
  EXPECT_EQ(twin.readLine(), std::nullopt);
  EXPECT_EQ(twin.wait(), 1);
  EXPECT_EQ(valueOf(nodes_[0], 0), 0);
  EXPECT_EQ(states(), "node-1|live");
}

TEST_F(ClusterProcesses,
       a_node_with_the_wrong_secret_serves_its_own_and_gets_nothing_from_the_others) {
  nodes_.push_back(start("node-1"));
  const std::string wrong = directory_ / "wrong";
  std::ofstream(wrong) << "a-secret-of-quite-another-cluster\n";
  Node stranger{.process = std::make_unique<ChildProcess>(command("stranger", wrong))};
  const auto line = stranger.process->readLine();
  ASSERT_TRUE(line.has_value());
  stranger.port = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  int refused = 0;
  for (int actor = 0; actor < kActors; ++actor) {
    // Each node is asked for all of them: those that belong to the other one cannot be had.
    HttpClient client(actor % 2 == 0 ? stranger.port : nodes_[0].port);
    const std::string text = client.call(actorName(actor), "increment", "[1]");
    if (client.status == 200) continue;
    EXPECT_NE(text.find("node_unreachable"), std::string::npos) << text;
    if (++refused == 2) break;  // each takes its time
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace skep::testing
