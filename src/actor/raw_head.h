// RawHead: the fields of a raw request as a client's, which are there anyway.

#pragma once

#include "skep/call/http.h"
#include "skep/call/visit.h"

namespace skep::actor {

class RawHead final : public call::RequestHead {
 public:
  /// `request` outlives it.
  explicit RawHead(const call::HttpRequest& request) : request_(request) {}
  call::Headers fields() const override { return request_.headers; }

 private:
  const call::HttpRequest& request_;
};

}  // namespace skep::actor
