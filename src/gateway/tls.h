// TlsContext: the certificate with which a server shows itself, and the sessions made with it.
//
// Files are PEM: a certificate with those that lead to its root, and its key. They are read again when
// they change, which tools that renew certificates rely on; a change that cannot be used is logged,
// and what was loaded before stays. TLS 1.2 and 1.3. Threading: any.

#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "skep/base/clock.h"
#include "skep/base/result.h"

namespace skep::gateway {

struct TlsFiles {
  std::string certificate;
  std::string key;
};

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using TlsSession = std::unique_ptr<SSL, FreeSsl>;

class TlsContext {
 public:
  /// InvalidArgument when a file cannot be read, or when the key is not the certificate's.
  static Result<std::unique_ptr<TlsContext>> open(TlsFiles files);

  /// The server's side of a session on a non-blocking socket, which the caller keeps open. Null when memory
  /// is short. Never raises SIGPIPE.
  TlsSession newSession(int socket);

  /// Looks whether the files have changed, at most once a second of `now`.
  void reloadIfChanged(MonotonicTime now);

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, FreeContext>;

  explicit TlsContext(TlsFiles files) : files_(std::move(files)) {}
  static Result<Context> load(const TlsFiles& files);
  std::string changeMark() const;

  const TlsFiles files_;
  std::mutex mutex_;  // for what follows
  Context context_;
  std::string loadedMark_;
  MonotonicTime lookedAt_{};
};

}  // namespace skep::gateway
