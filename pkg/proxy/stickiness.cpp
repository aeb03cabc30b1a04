#include "proxy/stickiness.h"

namespace rproxy::proxy {

namespace {

/// Calls `visit(slot)` for each slot that one of the cookies names, until it returns false.
template <typename Visitor>
void for_each_named_slot(const runtime::StickyCookies& cookies, std::span<const http::Field> fields,
                         Visitor&& visit) {
    bool going = true;
    for (const http::Field& field : fields) {
        if (field.id != http::FieldId::Cookie) {
            continue;
        }
        http::for_each_cookie(field.value, cookies.name(), [&](std::string_view value) {
            const auto slot = cookies.slot_of(value);
            going = !slot || visit(*slot);
            return going;
        });
        if (!going) {
            return;
        }
    }
}

}  // namespace

std::optional<std::uint32_t> sticky_slot(const runtime::StickyCookies& cookies,
                                         std::span<const http::Field> fields,
                                         const balancing::Policy& policy,
                                         const balancing::Excluded& excluded) {
    std::optional<std::uint32_t> found;
    for_each_named_slot(cookies, fields, [&](std::uint32_t slot) {
        if (policy.offers(slot) && !excluded.contains(slot)) {
            found = slot;
        }
        return !found;
    });
    return found;
}

bool names_backend(const runtime::StickyCookies& cookies, std::span<const http::Field> fields) {
    bool named = false;
    for_each_named_slot(cookies, fields, [&named](std::uint32_t /*slot*/) {
        named = true;
        return false;
    });
    return named;
}

bool needs_cookie(const runtime::StickyCookies& cookies, std::span<const http::Field> fields,
                  std::uint32_t slot) {
    bool named = false;
    for_each_named_slot(cookies, fields, [&](std::uint32_t other) {
        named = other == slot;
        return !named;
    });
    return !named;
}

}  // namespace rproxy::proxy
