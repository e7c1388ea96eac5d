// More requests at once than the process has stacks for.

#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

#include "http_client.h"
#include "live_server.h"

namespace skep::testing {
namespace {

using ::testing::HasSubstr;

std::atomic<bool> isReleased = false;

struct Patient : Actor {
  static void define(Definition<Patient>& d) { d.action("wait", &Patient::wait); }
  std::int64_t wait(Context& c) {
    while (!isReleased) c.sleepFor(std::chrono::milliseconds(1));
    return 7;
  }
};

TEST(Overload, requests_beyond_what_there_are_stacks_for_are_refused_and_the_others_answered) {
  constexpr std::size_t kRequests = 40;
  isReleased = false;
  fiber::StackBudget budget(32);  // of which a step of a request may have 24
  LiveServer server({}, LiveServer::Actors::OnAnother);
  server.actorsLoop().budget = &budget;
  server.add<Patient>("patient");
  std::atomic<std::size_t> refused = 0;
  std::atomic<std::size_t> answered = 0;
  server.serve([&] {
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < kRequests; ++i) {
      clients.emplace_back([&] {
        HttpClient client(server.port());
        const auto response =
            client.ask(HttpClient::Verb::post, "/actors/patient/a/actions/wait", {}, "[]");
        if (response.result_int() == 200) {
          ++answered;
          return;
        }
        EXPECT_EQ(response.result_int(), 503U);
        EXPECT_THAT(response.body(), HasSubstr("overloaded"));
        ++refused;
      });
    }
    while (refused < kRequests - 24) std::this_thread::yield();
    isReleased = true;
    for (std::thread& client : clients) client.join();
  });
  EXPECT_EQ(refused + answered, kRequests);
  EXPECT_GT(answered, 8U);
}

}  // namespace
}  // namespace skep::testing
