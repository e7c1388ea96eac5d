// Handshake: how two nodes find out that each is who the other means, and that both know the cluster's secret
// (docs/formats/node-protocol.md).
//
//   caller                                          answerer
//   Hello   versions, caller, meant, nonce    ──►
//                                             ◄──   Welcome  version, answerer, nonce, proof
//   Proof   proof                             ──►
//                                             ◄──   Ready
//
// or Refused, instead of any answer. A proof is a MAC over all that both have said, under a key made of the
// secret, and different for each side, so that nobody can send one back. The secret itself never travels. What
// follows is not encrypted. Pure; any thread.

#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/membership.h"

namespace skep::cluster {

inline constexpr std::uint32_t kProtocol = 1;     // that this build speaks best
inline constexpr std::uint32_t kProtocolMin = 1;  // and the oldest that it still does
inline constexpr std::size_t kNonceBytes = 32;
inline constexpr std::size_t kProofBytes = 32;

using Nonce = std::array<std::byte, kNonceBytes>;
Nonce randomNonce();

struct Hello {
  std::uint32_t protocolMin = kProtocolMin;
  std::uint32_t protocol = kProtocol;
  store::Incarnation caller = 0;
  store::Incarnation meant = 0;  // whom the caller wants to talk to
  Nonce nonce{};
};

struct Welcome {
  std::uint32_t protocol = 0;  // that both speak from now on
  store::Incarnation answerer = 0;
  Nonce nonce{};
};

enum class Side : std::uint8_t { Caller, Answerer };

/// The key is any number of bytes that only the cluster's nodes know.
std::string proofOf(Side side, std::string_view key, const Hello& hello, const Welcome& welcome);
/// Takes the same time wherever they differ.
bool isProof(std::string_view proof, Side side, std::string_view key, const Hello& hello,
             const Welcome& welcome);

/// The version that both speak. VersionMismatch.
Result<std::uint32_t> chooseProtocol(const Hello& hello);

Bytes encode(const Hello& hello);
Bytes encode(const Welcome& welcome, std::string_view proof);
/// Corrupt: something else is talking.
Result<Hello> decodeHello(ByteView bytes);
struct WelcomeAndProof {
  Welcome welcome;
  std::string proof;
};
Result<WelcomeAndProof> decodeWelcome(ByteView bytes);

}  // namespace skep::cluster
