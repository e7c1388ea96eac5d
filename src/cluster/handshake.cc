#include "skep/cluster/handshake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "skep/base/check.h"

namespace skep::cluster {
namespace {

constexpr std::string_view kMagic = "SKEPNODE";

void put(ByteWriter& out, const Hello& hello) {
  out.bytes(asBytes(kMagic));
  out.u32(hello.protocolMin);
  out.u32(hello.protocol);
  out.u64(hello.caller);
  out.u64(hello.meant);
  out.bytes(hello.nonce);
}

void put(ByteWriter& out, const Welcome& welcome) {
  out.u32(welcome.protocol);
  out.u64(welcome.answerer);
  out.bytes(welcome.nonce);
}

void take(ByteReader& in, Nonce& nonce) {
  const ByteView bytes = in.bytes(nonce.size());
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
}

Error noNode() {
  return Error{ErrorCode::Corrupt, "what answers there is no node of Skep"};
}

}  // namespace

Nonce randomNonce() {
  Nonce nonce;
  const int done = RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), kNonceBytes);
  SKEP_CHECK(done == 1, "the system gives no random bytes");
  return nonce;
}

std::string proofOf(Side side, std::string_view key, const Hello& hello, const Welcome& welcome) {
  Bytes said;
  ByteWriter out(said);
  out.u8(static_cast<std::uint8_t>(side));
  put(out, hello);
  put(out, welcome);
  std::string proof(kProofBytes, '\0');
  unsigned int size = 0;
  const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                          reinterpret_cast<const unsigned char*>(said.data()), said.size(),
                          reinterpret_cast<unsigned char*>(proof.data()), &size);
  SKEP_CHECK(done != nullptr && size == kProofBytes, "no memory for a proof");
  return proof;
}

bool isProof(std::string_view proof, Side side, std::string_view key, const Hello& hello,
             const Welcome& welcome) {
  return proof.size() == kProofBytes &&
         CRYPTO_memcmp(proof.data(), proofOf(side, key, hello, welcome).data(), kProofBytes) == 0;
}

Result<std::uint32_t> chooseProtocol(const Hello& hello) {
  const std::uint32_t best = std::min(hello.protocol, kProtocol);
  if (best >= hello.protocolMin && best >= kProtocolMin) return best;
  const auto range = [](std::uint32_t from, std::uint32_t to) {
    return from == to ? std::to_string(from) : std::to_string(from) + " to " + std::to_string(to);
  };
  return Error{ErrorCode::VersionMismatch,
               "the caller speaks version " + range(hello.protocolMin, hello.protocol) +
                   " of the protocol between nodes, this node " + range(kProtocolMin, kProtocol)};
}

Bytes encode(const Hello& hello) {
  Bytes bytes;
  ByteWriter out(bytes);
  put(out, hello);
  return bytes;
}

Bytes encode(const Welcome& welcome, std::string_view proof) {
  Bytes bytes;
  ByteWriter out(bytes);
  put(out, welcome);
  out.bytes(asBytes(proof));
  return bytes;
}

Result<Hello> decodeHello(ByteView bytes) {
  ByteReader in(bytes);
  if (asText(in.bytes(kMagic.size())) != kMagic) return noNode();
  Hello hello;
  hello.protocolMin = in.u32();
  hello.protocol = in.u32();
  hello.caller = in.u64();
  hello.meant = in.u64();
  take(in, hello.nonce);
  // A later version may say more here.
  if (!in.ok()) return noNode();
  return hello;
}

Result<WelcomeAndProof> decodeWelcome(ByteView bytes) {
  ByteReader in(bytes);
  WelcomeAndProof received;
  received.welcome.protocol = in.u32();
  received.welcome.answerer = in.u64();
  take(in, received.welcome.nonce);
  received.proof = asText(in.bytes(kProofBytes));
  if (!in.ok()) return noNode();
  return received;
}

}  // namespace skep::cluster
