#pragma once

#include "base/clock.h"
#include "config/issue.h"
#include "config/snapshot.h"
#include "tls/client_context.h"
#include "tls/file_texts.h"
#include "tls/server_context.h"

#include <cstdint>
#include <expected>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace rproxy::tls {

/// Everything that a configuration's TLS settings and the files they name come to. Values; the
/// contexts are shared with the workers.
struct Material {
    std::vector<std::shared_ptr<const ServerContext>> listeners;  ///< By index; null: plain.
    std::vector<std::shared_ptr<const ClientContext>> pools;      ///< By index; null: plain.
    std::string digest;                                           ///< Of the files it was made of.
    std::vector<config::Issue> warnings;

    /// Whether connections would begin otherwise with `other`.
    bool differs(const Material& other) const {
        return listeners != other.listeners || pools != other.pools;
    }
};

/// The files that `snapshot` names for TLS.
std::set<std::string> files_of(const config::Snapshot& snapshot);

struct LoadOptions {
    FileTexts::Read read{read_secret};
    WallTime now;
    /// What is in use. A context that would be the same is taken from here, and what runs is not
    /// refused for its age: it is better than nothing.
    const Material* running{nullptr};
    /// What is out of its dates is a warning: nothing runs that could be kept instead.
    bool tolerates_dates{false};
    /// A file that is not there is a warning, and nothing is made of what needs it: for a check
    /// where the Secret is not mounted.
    bool tolerates_missing{false};
};

/// Reads and checks the files and makes the contexts. Every issue names the key and the file.
/// Control thread; takes a millisecond or so for each certificate.
std::expected<Material, std::vector<config::Issue>> load_material(const config::Snapshot& snapshot,
                                                                  const LoadOptions& options);

}  // namespace rproxy::tls
