#include "skep/testing/postgres_server/postgres_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "skep/base/check.h"

namespace skep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(60);
constexpr int kPortsMax = 10;                         // tried until one is free
constexpr std::size_t kSocketDirectoryBytesMax = 70;  // a Unix socket's path has at most 107 bytes

// The account that the server's processes run as: our own, unless that is root.
struct Account {
  uid_t user;
  gid_t group;
};

std::optional<Account> unprivilegedAccount() {
  if (geteuid() != 0) return std::nullopt;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) entry = getpwnam("nobody");
  SKEP_CHECK(entry != nullptr, "PostgreSQL refuses to run as root, and there is no user for it");
  return Account{entry->pw_uid, entry->pw_gid};
}

// Starts a program with its output appended to `log`. It is stopped with `deathSignal` when we die.
pid_t spawn(const std::vector<std::string>& command, const fs::path& log, int deathSignal) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::optional<Account> account = unprivilegedAccount();
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  SKEP_CHECK(output >= 0, "cannot write %s", log.c_str());
  const pid_t parent = getpid();
  const pid_t pid = fork();
  SKEP_CHECK(pid >= 0, "cannot fork");
  if (pid > 0) {
    close(output);
    return pid;
  }
  // Only calls that are safe after a fork of a process with threads.
  if (account &&
      (setgroups(0, nullptr) != 0 || setgid(account->group) != 0 || setuid(account->user) != 0)) {
    _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, deathSignal);  // after setuid, which clears it
  if (getppid() != parent) _exit(126);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

int waitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string readAll(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

fs::path findBinaries() {
  FILE* pipe = popen("pg_config --bindir", "r");
  SKEP_CHECK(pipe != nullptr, "cannot run pg_config");
  char line[512] = {};
  const char* got = std::fgets(line, sizeof line, pipe);
  pclose(pipe);
  SKEP_CHECK(got != nullptr, "pg_config --bindir said nothing: is PostgreSQL installed?");
  std::string path(line);
  while (!path.empty() && path.back() == '\n') path.pop_back();
  SKEP_CHECK(fs::exists(fs::path(path) / "initdb"), "no initdb in %s", path.c_str());
  return path;
}

// Whether the server's account can get to a folder of its own in there.
bool isOpenTo(fs::path folder, const std::optional<Account>& account) {
  if (!account) return true;
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    if ((fs::status(folder).permissions() & fs::perms::others_exec) == fs::perms::none)
      return false;
  }
  return true;
}

fs::path makeDirectory() {
  fs::path base = fs::temp_directory_path();
  if (base.string().size() > kSocketDirectoryBytesMax - 16 ||
      !isOpenTo(base, unprivilegedAccount())) {
    base = "/tmp";
  }
  std::string name = (base / "skep-pg-XXXXXX").string();
  SKEP_CHECK(mkdtemp(name.data()) != nullptr, "cannot make %s", name.c_str());
  if (const auto account = unprivilegedAccount()) {
    SKEP_CHECK(chown(name.c_str(), account->user, account->group) == 0, "chown %s", name.c_str());
  }
  return name;
}

// A port that nobody listens on just now: another process may take it before the server does.
std::uint16_t findFreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  SKEP_CHECK(fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                 getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
             "no free port");
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

PostgresServer::PostgresServer(PostgresServerOptions options)
    : options_(std::move(options)), directory_(makeDirectory()), binaries_(findBinaries()) {
  initialise();
  if (options_.listen == Listen::UnixSocketAndTcp) {
    int tries = 0;
    do {
      SKEP_CHECK(++tries <= kPortsMax, "no port:\n%s", log().c_str());
      tcpPort_ = findFreePort();
    } while (!tryStart());
  } else {
    start();
  }
  if (options_.password) requirePassword();
}

PostgresServer::~PostgresServer() {
  if (postmaster_ != 0) {
    resume();
    stop(Stop::Immediate);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

// initdb takes a second or more, and every test program would run it: the first one leaves a
// template for the others to copy. It belongs to this version of PostgreSQL and to this account.
void PostgresServer::initialise() {
  const fs::path data = directory_ / "data";
  if (options_.fsync == Fsync::On) return runInitdb(data, {});  // as an operator would set it up
  const std::string version = binaries_.parent_path().filename();
  const fs::path kept =
      directory_.parent_path() / ("skep-pg-template-" + version + "-" + std::to_string(geteuid()));
  if (!fs::exists(kept)) {
    const fs::path made = directory_ / "template";
    runInitdb(made, {"--wal-segsize=1"});  // less to copy
    std::error_code lostTheRace;           // then the other's is there
    fs::rename(made, kept, lostTheRace);
  }
  const int status = waitFor(spawn({"/bin/cp", "-a", kept, data}, directory_ / "log", SIGTERM));
  SKEP_CHECK(status == 0, "cp failed:\n%s", log().c_str());
}

void PostgresServer::runInitdb(const fs::path& data, const std::vector<std::string>& extra) {
  std::vector<std::string> command = {
      binaries_ / "initdb", "-D",           data,        "--username=postgres", "--encoding=UTF8",
      "--locale=C",         "--auth=trust", "--no-sync", "--no-instructions"};
  command.insert(command.end(), extra.begin(), extra.end());
  const int status = waitFor(spawn(command, directory_ / "log", SIGTERM));
  SKEP_CHECK(status == 0, "initdb failed:\n%s", log().c_str());
}

// Everybody is trusted until the superuser has the password.
void PostgresServer::requirePassword() {
  query("ALTER USER postgres PASSWORD '" + *options_.password + "'");
  std::ofstream(directory_ / "data" / "pg_hba.conf") << "local all all scram-sha-256\n"
                                                        "host all all 127.0.0.1/32 scram-sha-256\n";
  query("SELECT pg_reload_conf()");
}

void PostgresServer::start() {
  SKEP_CHECK(tryStart(), "another process has taken port %d:\n%s", int{tcpPort_}, log().c_str());
}

// False when the port is taken.
bool PostgresServer::tryStart() {
  SKEP_CHECK(postmaster_ == 0, "the server runs already");
  std::vector<std::string> command = {
      binaries_ / "postgres",
      "-D",
      directory_ / "data",
      "-k",
      directory_,
      "-p",
      tcpPort_ == 0 ? "5432" : std::to_string(tcpPort_),
      "-c",
      tcpPort_ == 0 ? "listen_addresses=" : "listen_addresses=127.0.0.1",
      "-c",
      options_.fsync == Fsync::On ? "fsync=on" : "fsync=off"};
  for (const std::string& setting : options_.settings) {
    command.push_back("-c");
    command.push_back(setting);
  }
  postmaster_ = spawn(command, directory_ / "log", SIGQUIT);
  const std::string conninfo = urlAs("postgres", options_.password.value_or(""));
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (PQping(conninfo.c_str()) != PQPING_OK) {
    if (waitpid(postmaster_, nullptr, WNOHANG) != 0) {
      const bool portIsTaken =
          log().find("could not create any TCP/IP sockets") != std::string::npos;
      SKEP_CHECK(portIsTaken, "the server ended:\n%s", log().c_str());
      postmaster_ = 0;
      return false;
    }
    SKEP_CHECK(std::chrono::steady_clock::now() < deadline, "no start:\n%s", log().c_str());
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

void PostgresServer::stop(Stop how) {
  SKEP_CHECK(postmaster_ != 0, "the server is down already");
  if (how == Stop::Kill) {
    const std::vector<pid_t> all = processes();
    for (pid_t pid : all) kill(pid, SIGKILL);
    // Orphans keep the shared memory, and with it the next start, until they are gone.
    for (pid_t pid : all) {
      while (pid != postmaster_ && kill(pid, 0) == 0) std::this_thread::sleep_for(milliseconds(1));
    }
  } else {
    kill(postmaster_, how == Stop::Fast ? SIGINT : SIGQUIT);
  }
  const auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
  while (waitpid(postmaster_, nullptr, WNOHANG) == 0) {
    SKEP_CHECK(std::chrono::steady_clock::now() < deadline, "no stop:\n%s", log().c_str());
    std::this_thread::sleep_for(milliseconds(1));
  }
  postmaster_ = 0;
}

void PostgresServer::pause() {
  // The postmaster first, so that it starts no further process meanwhile.
  kill(postmaster_, SIGSTOP);
  for (pid_t pid : processes()) kill(pid, SIGSTOP);
}

void PostgresServer::resume() {
  for (pid_t pid : processes()) kill(pid, SIGCONT);
}

// The postmaster and its children.
std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> found = {postmaster_};
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::istringstream stat(readAll(entry.path() / "stat"));
    pid_t pid = 0;
    pid_t parent = 0;
    std::string command;
    std::string state;
    stat >> pid >> command >> state >> parent;
    if (stat && parent == postmaster_) found.push_back(pid);
  }
  return found;
}

std::string PostgresServer::url() const {
  return urlAs("postgres", options_.password.value_or(""));
}

std::string PostgresServer::urlAs(std::string_view user, std::string_view password,
                                  std::string_view database) const {
  std::string text = "postgresql://" + std::string(user);
  if (!password.empty()) text += ":" + std::string(password);
  text += "@/" + std::string(database) + "?host=" + directory_.string();
  return tcpPort_ == 0 ? text : text + "&port=" + std::to_string(tcpPort_);
}

std::string PostgresServer::tcpUrl() const {
  SKEP_CHECK(tcpPort_ != 0, "the server listens on a Unix socket only");
  std::string text = "postgresql://postgres";
  if (options_.password) text += ":" + *options_.password;
  return text + "@127.0.0.1:" + std::to_string(tcpPort_) + "/postgres";
}

fs::path PostgresServer::socketPath() const {
  return directory_ / (".s.PGSQL." + (tcpPort_ == 0 ? "5432" : std::to_string(tcpPort_)));
}

std::string PostgresServer::query(std::string_view sql) const {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(url().c_str()),
                                                                PQfinish);
  SKEP_CHECK(PQstatus(connection.get()) == CONNECTION_OK, "%s", PQerrorMessage(connection.get()));
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQexec(connection.get(), std::string(sql).c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  SKEP_CHECK(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s\n%s",
             PQerrorMessage(connection.get()), std::string(sql).c_str());
  std::string text;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    if (row > 0) text += '\n';
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      if (column > 0) text += '|';
      text += PQgetvalue(result.get(), row, column);
    }
  }
  return text;
}

std::string PostgresServer::log() const {
  return readAll(directory_ / "log");
}

}  // namespace skep::testing
