#include "skep/gateway/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "skep/base/check.h"
#include "skep/base/log.h"

namespace skep::gateway {
namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);

std::string lastError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

int socketOf(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool mustWait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int readSocket(BIO* bio, char* bytes, int count) {
  BIO_clear_retry_flags(bio);
  const auto got = ::recv(socketOf(bio), bytes, static_cast<std::size_t>(count), 0);
  if (got < 0 && mustWait()) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

int writeSocket(BIO* bio, const char* bytes, int count) {
  BIO_clear_retry_flags(bio);
  const auto sent = ::send(socketOf(bio), bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  if (sent < 0 && mustWait()) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// OpenSSL's own for sockets lets SIGPIPE come.
const BIO_METHOD* socketMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skep socket");
    SKEP_CHECK(made != nullptr, "no memory for TLS");
    BIO_meth_set_read(made, &readSocket);
    BIO_meth_set_write(made, &writeSocket);
    BIO_meth_set_ctrl(made, &control);
    return made;
  }();
  return method;
}

/// HTTP/1.1 for a client that names protocols (RFC 7301); one that names only others gets none.
int selectProtocol(SSL*, const unsigned char** out, unsigned char* outBytes,
                   const unsigned char* offered, unsigned int offeredBytes, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, outBytes, kOurs, sizeof(kOurs) - 1, offered, offeredBytes);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::open(TlsFiles files) {
  SKEP_TRY(Context context, load(files));
  std::unique_ptr<TlsContext> made(new TlsContext(std::move(files)));
  made->loadedMark_ = made->changeMark();
  made->context_ = std::move(context);
  return made;
}

Result<TlsContext::Context> TlsContext::load(const TlsFiles& files) {
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_server_method()));
  SKEP_CHECK(context != nullptr, "no memory for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), &selectProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    return Error{ErrorCode::InvalidArgument,
                 "the certificate " + files.certificate + " cannot be used: " + lastError()};
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Error{ErrorCode::InvalidArgument,
                 "the certificate's key " + files.key + " cannot be used: " + lastError()};
  }
  return context;
}

TlsSession TlsContext::newSession(int socket) {
  const std::lock_guard lock(mutex_);
  TlsSession session(SSL_new(context_.get()));
  BIO* const bio = session == nullptr ? nullptr : BIO_new(socketMethod());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);
  SSL_set_accept_state(session.get());
  return session;
}

/// Differs when a file was written or replaced.
std::string TlsContext::changeMark() const {
  std::string mark;
  for (const std::string& file : {files_.certificate, files_.key}) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return {};
    mark += std::to_string(status.st_ino) + "," + std::to_string(status.st_size) + "," +
            std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
            ";";
  }
  return mark;
}

void TlsContext::reloadIfChanged(MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  if (now - lookedAt_ < kLookInterval) return;
  lookedAt_ = now;
  std::string mark = changeMark();
  if (mark.empty() || mark == loadedMark_) return;
  auto loaded = load(files_);
  loadedMark_ = std::move(mark);
  if (!loaded) {
    return logWarn("gateway", "the changed certificate is not used",
                   {{"error", loaded.error().message}});
  }
  context_ = std::move(*loaded);
  logInfo("gateway", "the certificate was loaded anew", {{"file", files_.certificate}});
}

}  // namespace skep::gateway
