// The HTTP messages of the gateway, as Beast has them.

#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/optional.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

namespace skep::gateway {

/// A string that takes memory as its bytes arrive. Beast's own takes as much as the head says that will come, and
/// a head is quickly written.
struct ArrivingBody : boost::beast::http::string_body {
  class reader {  // the names are Beast's (BodyReader)
   public:
    template <bool isRequest, class Fields>
    reader(boost::beast::http::header<isRequest, Fields>&, std::string& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& error) {
      error = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      std::size_t bytes = 0;
      for (const boost::asio::const_buffer each : boost::beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(each.data()), each.size());
        bytes += each.size();
      }
      error = {};
      return bytes;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    std::string& body_;
  };
};

using HttpRequest = boost::beast::http::request<ArrivingBody>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

}  // namespace skep::gateway
