#pragma once

#include "balancing/policy.h"
#include "http/field.h"
#include "runtime/sticky_cookies.h"

#include <cstdint>
#include <optional>
#include <span>

/// Which backend a client's cookie asks for, and when it gets a new one. Facts in, verdict out; no
/// I/O, nothing allocated.
///
/// With the other things that choose:
/// - The cookie comes first: before `selection: {by: connection}`, whose connection may carry many
///   users, and before `by: interval`. A backend chosen by cookie does not become the connection's.
/// - It never makes a backend eligible. One that is down, ejected, draining, disabled, without
///   weight or full is passed over, as is one that this request has tried: the policy (or the
///   connection) chooses as if there were no cookie, and the client gets a new one.
/// - The new cookie goes out with the response, and only if it differs: a retry that another
///   backend answered moves the client there, since that is where its session now lives. A 502, 503
///   or 504 that is retried and sent after all, as nothing better came, binds nobody.
/// - During a rollout it decides the side before chance does: a client stays where its cookie names
/// a
///   backend, also if that is an existing one that is not eligible. Both or neither: chance.
/// - In a pool that is used because another is down, that pool's own `sticky` counts, if any.
namespace rproxy::proxy {

/// The slot that the client's cookies name, if the policy offers it and it is not excluded. Of
/// several cookies of this name the first that names such a slot counts.
std::optional<std::uint32_t> sticky_slot(const runtime::StickyCookies& cookies,
                                         std::span<const http::Field> fields,
                                         const balancing::Policy& policy,
                                         const balancing::Excluded& excluded);

/// Whether one of the client's cookies names a slot, whatever has become of its backend.
bool names_backend(const runtime::StickyCookies& cookies, std::span<const http::Field> fields);

/// Whether the client must be told of `slot`, which has answered: none of its cookies names it.
bool needs_cookie(const runtime::StickyCookies& cookies, std::span<const http::Field> fields,
                  std::uint32_t slot);

}  // namespace rproxy::proxy
