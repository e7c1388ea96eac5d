// PostgresServer: a private PostgreSQL server for a test or a benchmark.
//
// start() runs initdb into a fresh temporary directory and a postmaster on a Unix socket inside it
// (and on a free port of 127.0.0.1 when asked), so that tests need no running server, no fixed port
// and no password. PostgreSQL refuses to run as root: the server then runs as the user `postgres`.
// The destructor stops the server and removes the directory; when the test process dies, the kernel
// stops the server.
//
// Threading: one thread uses an object, and that thread outlives the server (the kernel ties the
// server's life to the thread that started it). Methods block; a method that fails aborts the test
// program.
//
//   PostgresServer server({.fsync = Fsync::On});
//   auto store = backend::PostgresStore::open({.url = server.url()}, clock);
//   server.stop(PostgresServer::Stop::Immediate);
//   server.start();

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::testing {

enum class Fsync : std::uint8_t { Off, On };
enum class Listen : std::uint8_t { UnixSocket, UnixSocketAndTcp };

struct PostgresServerOptions {
  Fsync fsync = Fsync::Off;  // Off: fast, and as good as On unless the machine itself dies
  Listen listen = Listen::UnixSocket;
  std::optional<std::string> password;  // of the user `postgres`; without one everyone is trusted
  std::vector<std::string> settings;    // "name=value", as in postgresql.conf
};

class PostgresServer {
 public:
  /// How a server stops. Fast: clients are cut off, then a clean shutdown. Immediate: as after a
  /// power cut, with recovery at the next start. Kill: Immediate, and the processes get no say.
  enum class Stop : std::uint8_t { Fast, Immediate, Kill };

  /// Starts the server and waits until it accepts connections.
  explicit PostgresServer(PostgresServerOptions options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// A URL of the database `postgres` as the superuser, over the Unix socket, with the password if
  /// any.
  std::string url() const;
  /// The same with other parts: another user or database, or a wrong password.
  std::string urlAs(std::string_view user, std::string_view password,
                    std::string_view database = "postgres") const;
  /// The same over 127.0.0.1; only with Listen::UnixSocketAndTcp.
  std::string tcpUrl() const;
  std::uint16_t tcpPort() const { return tcpPort_; }
  /// The Unix socket itself, for a proxy in front of it.
  std::filesystem::path socketPath() const;

  /// Where the server keeps its files: for tests that make a disk fail.
  std::filesystem::path dataDirectory() const { return directory_ / "data"; }

  /// Waits until the server is down, also when it went down by itself. stop() then start() keeps the data, the socket and the port.
  void stop(Stop how);
  void start();
  /// Freezes all of the server's processes (SIGSTOP), and lets them go on.
  void pause();
  void resume();

  /// Runs SQL (several statements are fine) as the superuser and returns the last statement's rows,
  /// cells joined by '|' and rows by newlines, as psql prints them.
  std::string query(std::string_view sql) const;

 private:
  bool tryStart();
  void initialise();
  void runInitdb(const std::filesystem::path& data, const std::vector<std::string>& extra);
  void requirePassword();
  std::vector<pid_t> processes() const;
  std::string log() const;

  PostgresServerOptions options_;
  std::filesystem::path directory_;
  std::filesystem::path binaries_;
  std::uint16_t tcpPort_ = 0;
  pid_t postmaster_ = 0;
};

}  // namespace skep::testing
