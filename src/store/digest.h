// The rolling digest of a database: one number over all its pages, kept up to date page by page.
//
// digest = the sum, modulo 2^64, of pageHash(p, content of p) for p = 1 … page count. An empty
// database has the digest 0. A commit that replaces a page costs two hashes, whatever the size of
// the database:
//
//   digest += pageHash(p, after) - pageHash(p, before);
//   digest += pageHash(p, content);   // a page that is new
//   digest -= pageHash(p, content);   // a page that is cut off
//
// Why a sum: it has an inverse and does not depend on order, so it can be updated from either end
// and in any order of pages. The page number seeds the hash, so that two pages that changed places
// change the digest. XOR would serve as well but for one thing: with XOR the same wrong change
// applied twice cancels out; with a sum it stays visible. A digest finds lost, doubled, misplaced
// and stale pages with a chance of error of about 2^-64. It is no defence against an attacker: sums
// of 64-bit hashes can be forged.
//
// Any thread. Nothing here suspends. Documented in docs/formats/digest.md.

#pragma once

#include <cstdint>

#include "skep/base/bytes.h"
#include "skep/store/page_store.h"

namespace skep::store {

/// XXH3-64 of the page's kPageBytes bytes with the page number as the seed. A page of zeros has a
/// hash as any other page.
std::uint64_t pageHash(PageNumber page, ByteView content);

}  // namespace skep::store
