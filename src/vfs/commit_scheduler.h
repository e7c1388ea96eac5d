// CommitScheduler: sees to it that what was committed gets written to the store also when nobody waits
// for it.
//
// A database with work puts itself on the list. At the loop's next round, whoever is still on it is
// told to start; most have been served by then, by the fiber that waits for its commit, and have
// left. One function is posted a round, however many databases commit in it.
//
// Threading: belongs to its loop. Lifetime: may go before the round that it asked for.

#pragma once

#include <boost/intrusive/list.hpp>
#include <memory>
#include <utility>

#include "skep/fiber/loop.h"

namespace skep::vfs {

class CommitScheduler {
 public:
  class Client : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    virtual void startCommits() = 0;  // does not suspend
   protected:
    ~Client() = default;
  };

  explicit CommitScheduler(fiber::Loop& loop) : loop_(loop) {}

  /// Tells `client` to start at the next round, unless it is gone or removed by then.
  void add(Client& client) {
    if (client.is_linked()) return;
    list_->clients.push_back(client);
    if (std::exchange(list_->isPosted, true)) return;
    loop_.post([list = list_] { list->run(); });
  }
  static void remove(Client& client) {
    if (client.is_linked()) client.unlink();
  }

 private:
  struct List {
    boost::intrusive::list<Client, boost::intrusive::constant_time_size<false>> clients;
    bool isPosted = false;

    void run() {
      isPosted = false;
      while (!clients.empty()) {
        Client& client = clients.front();
        client.unlink();
        client.startCommits();
      }
    }
  };

  fiber::Loop& loop_;
  const std::shared_ptr<List> list_ = std::make_shared<List>();
};

}  // namespace skep::vfs
