// A server as a process of its own: the program of examples/counter, spoken to over HTTP, stopped,
// killed and started again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <regex>
#include <sstream>
#include <thread>

#include "http_client.h"
#include "skep/server/serve_settings.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/temp_directory.h"

namespace skep {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::StartsWith;
namespace http = boost::beast::http;

class ServeTest : public ::testing::Test {
 protected:
  using Arguments = std::vector<std::string>;
  ServeTest() { unsetenv("SKEP_STORE"); }

  std::string storeUrl() const { return "embedded:" + directory_ / "store"; }
  void start(Arguments more = {}) {
    Arguments arguments = {SKEP_COUNTER, "--store", storeUrl(), "--listen", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    startWith(arguments);
  }
  void startWith(const Arguments& arguments) {
    server_ = std::make_unique<testing::ChildProcess>(arguments);
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    ASSERT_THAT(*line, StartsWith("Skep listens on http://127.0.0.1:"));
    port_ = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  }
  void stop() {
    ::kill(server_->pid(), SIGTERM);
    EXPECT_EQ(server_->wait(), 0);
    server_.reset();
  }
  int exitCodeOf(const Arguments& arguments) {
    Arguments all = {SKEP_COUNTER};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return testing::ChildProcess(all).wait();
  }
  std::string writeFile(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    return directory_ / name;
  }

  testing::TempDirectory directory_;
  std::unique_ptr<testing::ChildProcess> server_;
  std::uint16_t port_ = 0;
};

TEST_F(ServeTest, actors_on_all_threads_answer_every_connection_and_outlive_a_restart) {
  start({"--threads", "3"});
  for (int connection = 0; connection < 6; ++connection) {
    HttpClient client(port_);
    for (int actor = 0; actor < 12; ++actor) {
      EXPECT_EQ(client.call("counter/a" + std::to_string(actor), "increment", "[1]"),
                std::to_string(connection + 1));
    }
  }
  stop();
  start({"--threads", "2"});
  HttpClient client(port_);
  for (int actor = 0; actor < 12; ++actor) {
    EXPECT_EQ(client.call("counter/a" + std::to_string(actor), "value"), "6");
  }
  stop();
}

// Each client counts in an actor of its own: the value it was told last is there after the kill, and
// at the most one more, whose reply was lost.
TEST_F(ServeTest, a_server_that_is_killed_under_load_has_kept_what_it_answered) {
  constexpr std::size_t kClients = 8;
  std::vector<long> acknowledged(kClients, 0);
  for (int round = 0; round < 6; ++round) {
    start({"--threads", "2"});
    std::atomic<std::size_t> total = 0;
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        HttpClient client(port_);
        while (true) {
          const std::string reply =
              client.call("counter/c" + std::to_string(i), "increment", "[1]");
          if (client.status != 200) return;
          acknowledged[i] = std::stol(reply);
          ++total;
        }
      });
    }
    while (total < 500u + 100u * static_cast<unsigned>(round)) std::this_thread::yield();
    server_->kill();
    for (std::thread& client : clients) client.join();
    server_->wait();

    start();
    HttpClient client(port_);
    for (std::size_t i = 0; i < kClients; ++i) {
      const long value = std::stol(client.call("counter/c" + std::to_string(i), "value"));
      EXPECT_GE(value, acknowledged[i]) << "client " << i << " in round " << round;
      EXPECT_LE(value, acknowledged[i] + 1) << "client " << i << " in round " << round;
      acknowledged[i] = value;
    }
    stop();
  }
}

TEST_F(ServeTest, a_server_that_is_told_to_end_stops_what_goes_on_for_too_long) {
  startWith({SKEP_WAITING_SERVER, "--store", "memory:", "--listen", "0", "--drain-seconds", "1"});
  std::string reply;
  std::thread caller([&] {
    HttpClient client(port_);
    reply = client.call("waiting/a", "wait", "[50]");
  });
  HttpClient client(port_);
  while (client.call("waiting/a", "count") != "1") std::this_thread::yield();
  stop();
  caller.join();
  EXPECT_THAT(reply, HasSubstr("shutting_down"));
}

TEST_F(ServeTest, flags_count_more_than_the_environment_and_that_more_than_the_file) {
  const std::string file =
      writeFile("skep.toml", "store = \"memory:\"\nlisten = \"127.0.0.1:0\"\nbody-max = \"1kb\"\n");
  startWith({SKEP_COUNTER, "--config", file});
  const std::string large = "[" + std::string(1500, ' ') + "1]";
  HttpClient first(port_);
  first.ask(http::verb::post, "/actors/counter/a/actions/increment", large);
  EXPECT_EQ(first.status, 413u);
  stop();

  setenv("SKEP_BODY_MAX", "2kb", 1);
  startWith({SKEP_COUNTER, "--config", file});
  HttpClient second(port_);
  EXPECT_EQ(second.ask(http::verb::post, "/actors/counter/a/actions/increment", large), "1");
  stop();

  startWith({SKEP_COUNTER, "--config", file, "--body-max", "500"});
  HttpClient third(port_);
  third.ask(http::verb::post, "/actors/counter/a/actions/increment", large);
  EXPECT_EQ(third.status, 413u);
  stop();
  unsetenv("SKEP_BODY_MAX");
}

TEST_F(ServeTest, settings_that_make_no_sense_are_refused) {
  EXPECT_NE(exitCodeOf({"--threads", "0"}), 0);
  EXPECT_NE(exitCodeOf({"--cache", "much"}), 0);
  EXPECT_NE(exitCodeOf({"--log-level", "loud"}), 0);
  EXPECT_NE(exitCodeOf({"--store", "elsewhere:x"}), 0);
  EXPECT_NE(exitCodeOf({"--listen", "127.0.0.1:99999"}), 0);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0.0.0.0:0"}), 0) << "open to everybody";
  EXPECT_NE(exitCodeOf({"--config", writeFile("bad.toml", "nonsense = 1\n")}), 0);
}

TEST_F(ServeTest, other_machines_are_let_in_with_tokens_only_or_when_that_is_said) {
  const std::string secret = writeFile("secret", "a secret of at least 32 characters");
  const Arguments open = {SKEP_COUNTER, "--store", "memory:", "--listen", "0.0.0.0:0"};
  for (const Arguments& more : {Arguments{"--jwt-secret-file", secret}, Arguments{"--insecure"}}) {
    Arguments arguments = open;
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = std::make_unique<testing::ChildProcess>(arguments);
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    EXPECT_THAT(*line, StartsWith("Skep listens on http://0.0.0.0:"));
    stop();
  }
}

TEST_F(ServeTest, settings_of_access_that_make_no_sense_are_refused) {
  const std::string good = writeFile("secret", "a secret of at least 32 characters");
  const std::string bad = writeFile("short", "short");
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0", "--jwt-secret-file", bad}), 0);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0", "--jwt-key-file", good}), 0);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0", "--jwt-jwks-file", "absent"}), 0);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0", "--jwt-issuer", "somebody"}), 0);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0", "--admin-token-file", bad}), 0);
  setenv("SKEP_ADMIN_TOKEN", "short", 1);
  EXPECT_NE(exitCodeOf({"--store", "memory:", "--listen", "0"}), 0);
  unsetenv("SKEP_ADMIN_TOKEN");
}

TEST_F(ServeTest, a_port_that_is_taken_is_an_error) {
  start();
  EXPECT_EQ(exitCodeOf({"--store", "memory:", "--listen", std::to_string(port_)}), 1);
  stop();
}

TEST_F(ServeTest, metrics_count_and_each_is_documented) {
  start();
  HttpClient client(port_);
  EXPECT_EQ(client.call("counter/a", "increment", "[1]"), "1");
  client.ask(http::verb::post, "/actors/counter/a/actions/nothing");
  EXPECT_THAT(client.ask(http::verb::get, "/ready"), HasSubstr("ready"));
  const std::string metrics = client.ask(http::verb::get, "/metrics");
  EXPECT_THAT(metrics, HasSubstr("\nskep_actions_total 2\n"));
  EXPECT_THAT(metrics, HasSubstr("\nskep_actions_failed_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nskep_actor_creations_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nskep_action_seconds_count 2\n"));
  stop();

  std::ostringstream page;
  page << std::ifstream(std::string(SKEP_DOCS) + "/metrics.md").rdbuf();
  std::size_t names = 0;
  const std::regex line("# TYPE (\\S+) ");
  for (std::sregex_iterator it(metrics.begin(), metrics.end(), line), end; it != end; ++it) {
    EXPECT_THAT(page.str(), HasSubstr("`" + (*it)[1].str() + "`"));
    ++names;
  }
  EXPECT_GT(names, 10u);
}

TEST(SettingsTest, the_page_of_settings_lists_them_all) {
  CLI::App app;
  server::ServeSettings settings;
  server::addSettings(app, settings);
  std::set<std::string> real;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() == "--help") continue;
    real.insert(option->get_name() + " " + option->get_envname());
  }
  std::ostringstream page;
  page << std::ifstream(std::string(SKEP_DOCS) + "/configuration.md").rdbuf();
  const std::string text = page.str();
  std::set<std::string> written;
  const std::regex row("\\| `(--[a-z-]+)` \\| (?:`([A-Z_]+)`)? ?\\|");
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    written.insert((*it)[1].str() + " " + (*it)[2].str());
  }
  EXPECT_EQ(written, real);
}

TEST_F(ServeTest, pages_are_handed_out_beside_the_actors) {
  std::ofstream(directory_ / "index.html") << "<h1>hello</h1>";
  std::filesystem::create_directory(directory_ / "assets");
  std::ofstream(directory_ / "assets/page.js") << "1";
  std::ofstream(directory_ / ".secret") << "no";
  start({"--pages", directory_.path()});
  HttpClient client(port_);
  EXPECT_EQ(client.ask(http::verb::get, "/"), "<h1>hello</h1>");
  EXPECT_EQ(client.ask(http::verb::get, "/index.html?x=1"), "<h1>hello</h1>");
  EXPECT_EQ(client.ask(http::verb::get, "/assets/page.js"), "1");
  for (const char* none : {"/.secret", "/assets", "/assets/", "/../index.html", "/%2e%2e/x", "//",
                           "/assets/page.js/"}) {
    client.ask(http::verb::get, none);
    EXPECT_EQ(client.status, 404u) << none;
  }
  client.ask(http::verb::post, "/index.html");
  EXPECT_EQ(client.status, 404u);
  EXPECT_EQ(client.call("counter/a", "increment", "[1]"), "1");
}

}  // namespace
}  // namespace skep
