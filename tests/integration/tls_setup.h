#pragma once

#include "integration/setup.h"
#include "support/certificates.h"
#include "support/temp_dir.h"
#include "support/tls_peer.h"

#include <string>

namespace rproxy::test {

/// A directory with certificate files.
class Certificates {
public:
    /// Writes NAME.crt and NAME.key; the certificates entry that names them.
    std::string add(const std::string& name, const CertificatePair& pair) const {
        return entry(dir_.write(name + ".crt", pair.cert), dir_.write(name + ".key", pair.key));
    }
    static std::string entry(const std::string& cert, const std::string& key) {
        return "{cert: \"" + cert + "\", key: \"" + key + "\"}";
    }
    const TempDir& dir() const { return dir_; }

private:
    TempDir dir_;
};

/// A listener `https` with these certificate entries and further keys of `tls`.
inline std::string https(const std::string& entries, const std::string& more = {},
                         const std::string& keys = {}) {
    return "listeners:\n- name: https\n  address: 127.0.0.1:0\n" + keys +
           "  tls:\n    certificates: [" + entries + "]\n" + more;
}

}  // namespace rproxy::test
