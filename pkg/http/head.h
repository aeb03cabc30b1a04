#pragma once

#include "http/field.h"
#include "http/method.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace rproxy::http {

/// HTTP/1.0 or HTTP/1.1; nothing else is spoken.
enum class Version : std::uint8_t { Http10, Http11 };

/// A parsed request head: views into the buffer it was parsed from, valid as long as that stays.
struct RequestHead {
    std::string_view method_text;
    Method method{Method::Get};
    std::string_view target;
    Version version{Version::Http11};
    std::vector<Field> fields;

    /// The first field of this kind, or null.
    const Field* find(FieldId id) const {
        for (const Field& field : fields) {
            if (field.id == id) {
                return &field;
            }
        }
        return nullptr;
    }
    void clear() {
        method = Method::Get;
        fields.clear();
    }
};

/// A parsed response head, as RequestHead.
struct ResponseHead {
    std::uint16_t status{0};
    std::string_view reason;
    Version version{Version::Http11};
    std::vector<Field> fields;

    const Field* find(FieldId id) const {
        for (const Field& field : fields) {
            if (field.id == id) {
                return &field;
            }
        }
        return nullptr;
    }
    void clear() { fields.clear(); }
};

}  // namespace rproxy::http
