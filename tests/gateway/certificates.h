// Certificates for tests: made on the spot, signed by themselves.

#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>
#include <string>

#include "skep/gateway/tls.h"

namespace skep::testing {

/// Writes a new certificate and its key (P-256).
inline void writeCertificate(const gateway::TlsFiles& files) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  ASSERT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  const std::unique_ptr<FILE, decltype(&fclose)> toCertificate(
      fopen(files.certificate.c_str(), "w"), &fclose);
  ASSERT_EQ(PEM_write_X509(toCertificate.get(), certificate.get()), 1);
  const std::unique_ptr<FILE, decltype(&fclose)> toKey(fopen(files.key.c_str(), "w"), &fclose);
  ASSERT_EQ(PEM_write_PrivateKey(toKey.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
}

}  // namespace skep::testing
