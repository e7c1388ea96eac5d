// skep call, watch and actors, against a server: the program of examples/chat.

#include <csignal>
#include <nlohmann/json.hpp>

#include "command_test.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/tokens/token_maker.h"

namespace skep::cli {
namespace {

using Json = nlohmann::json;

class RemoteCommands : public CommandTest {
 protected:
  RemoteCommands() {
    writeFile("admin", "the-admins-own-token\n");
    writeFile("wrong-admin", "the-admins-lost-token\n");
    writeFile("secret", testing::kTestSecret);
    writeFile("token", testing::makeToken({{"sub", "ada"}, {"exp", 4'000'000'000}}));
    // A test of its own process group may have these from whoever started it.
    for (const char* name : {"SKEP_URL", "SKEP_TOKEN", "SKEP_ADMIN_TOKEN"}) unsetenv(name);
  }

  void start(std::vector<std::string> more = {}, const std::string& listen = "127.0.0.1:0") {
    std::vector<std::string> arguments = {SKEP_CHAT,
                                          "--store",
                                          "embedded:" + path("store"),
                                          "--listen",
                                          listen,
                                          "--threads",
                                          "2",
                                          "--log-level",
                                          "error",
                                          "--admin-token-file",
                                          path("admin")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = std::make_unique<testing::ChildProcess>(arguments);
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    url_ = line->substr(line->rfind(' ') + 1);
  }
  void stop() {
    ::kill(server_->pid(), SIGTERM);
    EXPECT_EQ(server_->wait(), 0);
    server_.reset();
  }
  std::string port() const { return url_.substr(url_.rfind(':') + 1); }

  /// A command with this server's URL, and for `actors` the admin's token.
  std::vector<std::string> with(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--url", url_});
    if (arguments[0] == "actors") {
      arguments.insert(arguments.end(), {"--admin-token-file", path("admin")});
    }
    return arguments;
  }
  std::string remote(const std::vector<std::string>& arguments) { return ok(with(arguments)); }
  std::string refused(const std::vector<std::string>& arguments) {
    return fails(1, with(arguments));
  }
  std::unique_ptr<Process> watch(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {skepBinary(), "watch"});
    arguments.insert(arguments.end(), {"--params", R"({"name":"watcher"})", "--url", url_});
    return std::make_unique<Process>(arguments, folder_.path());
  }
  void say(const std::string& text) {
    remote({"call", "chatRoom/lobby", "send", "[\"" + text + "\"]"});
  }

  std::unique_ptr<testing::ChildProcess> server_;
  std::string url_;
};

// ---- call

TEST_F(RemoteCommands, call_runs_an_action_and_prints_its_result) {
  start();
  EXPECT_EQ(remote({"call", "counter/a", "increment", "[5]"}), "5\n");
  EXPECT_EQ(remote({"call", "counter/a", "increment", "[1]"}), "6\n");
  EXPECT_EQ(remote({"call", "counter/a/b", "increment", "[1]"}), "1\n");
  // Parts that are words of the routes, or look like several.
  for (const char* odd : {"counter/actions", "counter/actions/x", "counter/a%2Fb",
                          "counter/connect", "counter/日 本"}) {
    EXPECT_EQ(remote({"call", odd, "increment", "[1]"}), "1\n") << odd;
  }
  EXPECT_EQ(Json::parse(remote({"call", "chatRoom/lobby", "present"})), Json::array());
  stop();
}

TEST_F(RemoteCommands, call_tells_what_the_server_refuses) {
  start();
  EXPECT_THAT(refused({"call", "counter/a", "divide"}),
              StartsWith("error: actor.unknown_action: "));
  EXPECT_THAT(refused({"call", "counter/a", "increment", "[\"x\"]"}),
              StartsWith("error: request.invalid_arguments: "));
  EXPECT_THAT(refused({"call", "nothing/a", "x"}), StartsWith("error: actor.unknown_type: "));
  EXPECT_THAT(refused({"call", "counter/new", "increment", "[1]", "--must-exist"}),
              StartsWith("error: actor.not_found: "));
  stop();
  EXPECT_THAT(refused({"call", "counter/a", "increment", "[1]"}),
              AllOf(StartsWith("error: unavailable: "), HasSubstr("refused")));
}

TEST_F(RemoteCommands, wrong_usage_is_told_before_anything_is_asked) {
  url_ = "http://127.0.0.1:1";
  EXPECT_THAT(fails(2, with({"call", "counter", "x"})), HasSubstr("TYPE/KEY"));
  EXPECT_THAT(fails(2, with({"call", "counter/a", "x", "5"})), HasSubstr("JSON array"));
  EXPECT_THAT(fails(2, with({"watch", "counter/a", "--params", "{"})), HasSubstr("JSON value"));
  EXPECT_THAT(fails(2, with({"actors", "destroy", "counter/a"})), HasSubstr("--yes"));
  EXPECT_THAT(fails(2, with({"call", "counter/a", "x", "--token-file", path("absent")})),
              HasSubstr("absent"));
  for (const char* url : {"localhost:6420", "ftp://x", "http://ada:pw@x", "http://x/?token=7"}) {
    EXPECT_THAT(fails(2, {"call", "counter/a", "x", "--url", url}), HasSubstr("http://HOST:PORT"))
        << url;
  }
  fails(2, with({"actors"}));
}

TEST_F(RemoteCommands, the_environment_says_which_server_and_as_whom) {
  start({"--jwt-secret-file", path("secret")});
  const std::string token = readFile("token");
  const auto call = [&](const Environment& environment) {
    return skep({"call", "counter/a", "increment", "[1]"}, {}, environment);
  };
  EXPECT_EQ(call({{"SKEP_URL", url_}, {"SKEP_TOKEN", token}}).out, "1\n");
  EXPECT_EQ(call({{"SKEP_URL", url_}, {"SKEP_TOKEN_FILE", path("token")}}).out, "2\n");
  EXPECT_EQ(remote({"call", "counter/a", "increment", "[1]", "--token-file", path("token")}),
            "3\n");
  EXPECT_THAT(call({{"SKEP_URL", url_}}).errors, StartsWith("error: access.token_missing: "));
  EXPECT_THAT(call({{"SKEP_URL", url_}, {"SKEP_TOKEN", token + "A"}}).errors,
              StartsWith("error: access.token_invalid: "));
  EXPECT_EQ(
      skep({"actors", "ls"}, {}, {{"SKEP_URL", url_}, {"SKEP_ADMIN_TOKEN", "the-admins-own-token"}})
          .out,
      "counter/a\n");
  stop();
}

// ---- actors

TEST_F(RemoteCommands, actors_lists_them) {
  start();
  for (const char* key : {"a", "b", "c%2Fd"}) {
    remote({"call", std::string("counter/") + key, "increment", "[1]"});
  }
  remote({"call", "chatRoom/lobby", "present"});
  EXPECT_EQ(remote({"actors", "ls"}), "chatRoom/lobby\ncounter/a\ncounter/b\ncounter/c%2Fd\n");
  EXPECT_EQ(remote({"actors", "ls", "counter", "--limit", "2"}), "counter/a\ncounter/b\n");
  EXPECT_EQ(remote({"actors", "ls", "other"}), "");
  const Json rows = Json::parse(remote({"actors", "ls", "chatRoom", "--long", "--mode", "json"}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["actor"], "chatRoom/lobby");
  EXPECT_EQ(rows[0]["state"], "awake");
  EXPECT_THAT(rows[0]["created"], MatchesRegex("20..-..-..T..:..:..\\....Z"));
  stop();
}

TEST_F(RemoteCommands, actors_are_looked_at_woken_put_to_sleep_and_destroyed) {
  start();
  say("hello");
  const auto info = [&] {
    return Json::parse(remote({"actors", "info", "chatRoom/lobby", "--mode", "json"}))[0];
  };
  EXPECT_EQ(info()["state"], "awake");
  EXPECT_EQ(info()["last_error"], nullptr);
  EXPECT_EQ(remote({"actors", "sleep", "chatRoom/lobby"}), "");
  EXPECT_EQ(info()["state"], "asleep");
  EXPECT_GE(info()["bytes"], 8192);
  EXPECT_EQ(remote({"actors", "wake", "chatRoom/lobby"}), "");
  EXPECT_EQ(info()["state"], "awake");
  EXPECT_THAT(remote({"actors", "info", "chatRoom/lobby"}), HasSubstr("calls_under_way"));
  EXPECT_EQ(remote({"actors", "destroy", "chatRoom/lobby", "--yes"}), "");
  for (const char* command : {"info", "wake", "sleep"}) {
    EXPECT_THAT(refused({"actors", command, "chatRoom/lobby"}),
                StartsWith("error: actor.not_found: "))
        << command;
  }
  stop();
}

TEST_F(RemoteCommands, actors_needs_the_admins_token) {
  start();
  EXPECT_THAT(fails(1, {"actors", "ls", "--url", url_}),
              StartsWith("error: access.token_missing: "));
  EXPECT_THAT(fails(1, {"actors", "ls", "--url", url_, "--admin-token-file", path("wrong-admin")}),
              StartsWith("error: access.token_invalid: "));
  stop();
}

// ---- watch

TEST_F(RemoteCommands, watch_prints_events_as_they_come) {
  start();
  say("first");
  const auto watching = watch({"chatRoom/lobby", "message"});
  // Nobody knows when the watcher is there, but by being told of an event.
  const auto all = watch({"chatRoom/lobby"});
  ASSERT_TRUE(all->waitForOutput("\"present\""));
  while (remote({"call", "chatRoom/lobby", "present"}) != "[\"watcher\",\"watcher\"]\n") {
  }
  say("second");
  ASSERT_TRUE(watching->waitForOutput("\"second\""));
  ASSERT_TRUE(all->waitForOutput("\"second\""));
  watching->signal(SIGINT);
  all->signal(SIGINT);
  const Outcome outcome = watching->finish();
  EXPECT_EQ(outcome.exitCode, 130);
  EXPECT_EQ(outcome.errors, "");
  const Json event = Json::parse(outcome.out.substr(0, outcome.out.find('\n')));
  EXPECT_EQ(event["name"], "message");
  EXPECT_EQ(event["value"]["text"], "second");
  EXPECT_TRUE(event.contains("stream") && event.contains("seq"));
  EXPECT_EQ(all->finish().exitCode, 130);
  EXPECT_EQ(remote({"call", "chatRoom/lobby", "present"}), "[]\n") << "they have said goodbye";
  stop();
}

TEST_F(RemoteCommands, watch_comes_back_when_the_server_does) {
  start();
  say("first");
  const auto watching = watch({"chatRoom/lobby"});
  ASSERT_TRUE(watching->waitForOutput("\"present\""));
  const std::string listen = "127.0.0.1:" + port();
  stop();
  start({}, listen);
  // The watcher is seen, then what is said reaches it.
  while (remote({"call", "chatRoom/lobby", "present"}) != "[\"watcher\"]\n") {
  }
  say("again");
  ASSERT_TRUE(watching->waitForOutput("\"again\""));
  watching->signal(SIGINT);
  const Outcome outcome = watching->finish();
  EXPECT_EQ(outcome.exitCode, 130);
  EXPECT_THAT(outcome.errors, HasSubstr("connection lost"));
  stop();
}

TEST_F(RemoteCommands, watch_ends_when_it_is_refused) {
  start();
  say("first");
  EXPECT_THAT(refused({"watch", "chatRoom/absent"}), StartsWith("error: actor.not_found: "));
  EXPECT_THAT(refused({"watch", "chatRoom/lobby", "nothing", "--params", R"({"name":"w"})"}),
              StartsWith("error: actor.unknown_event: "));
  EXPECT_THAT(refused({"watch", "chatRoom/lobby", "--params", R"({"name":""})"}),
              StartsWith("error: user.bad_name: "));
  const auto watching = watch({"chatRoom/lobby"});
  ASSERT_TRUE(watching->waitForOutput("\"present\""));
  remote({"actors", "destroy", "chatRoom/lobby", "--yes"});
  const Outcome outcome = watching->finish();
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_THAT(outcome.errors, StartsWith("error: actor.destroyed: "));
  stop();
  EXPECT_THAT(refused({"watch", "chatRoom/lobby"}), StartsWith("error: unavailable: "));
}

TEST_F(RemoteCommands, watch_shows_its_token) {
  start({"--jwt-secret-file", path("secret")});
  remote({"call", "chatRoom/lobby", "send", "[\"x\"]", "--token-file", path("token")});
  EXPECT_THAT(refused({"watch", "chatRoom/lobby"}), StartsWith("error: access.token_missing: "));
  const auto watching = watch({"chatRoom/lobby", "--token-file", path("token")});
  ASSERT_TRUE(watching->waitForOutput("\"present\""));
  watching->signal(SIGINT);
  EXPECT_EQ(watching->finish().exitCode, 130);
  stop();
}

}  // namespace
}  // namespace skep::cli
