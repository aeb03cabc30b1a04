#include "tls/material.h"

#include "tls/certificate.h"
#include "tls/context.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace rproxy::tls {

namespace {

std::string key_of(PairProblem::File file) {
    switch (file) {
        case PairProblem::File::Cert:
            return ".cert";
        case PairProblem::File::Key:
            return ".key";
        case PairProblem::File::Ocsp:
            break;
    }
    return ".ocsp";
}

/// One value among others: no other sequence of values reads the same.
std::string part(std::string_view text) {
    return std::to_string(text.size()) + ":" + std::string(text);
}

/// The files of a pair, with the key that names them.
struct PairPaths {
    std::string where;  // `listeners[0].tls.certificates[0]`
    std::string cert;
    std::string key;
    std::optional<std::string> ocsp;

    const std::string& path(PairProblem::File file) const {
        return file == PairProblem::File::Cert  ? cert
               : file == PairProblem::File::Key ? key
                                                : *ocsp;
    }
};

class Loader {
public:
    Loader(const config::Snapshot& snapshot, const LoadOptions& options)
        : snapshot_(snapshot), options_(options), texts_(options.read) {
        if (options.running != nullptr) {
            for (const auto& context : options.running->listeners) {
                for (std::size_t i = 0; context && i < context->shown().size(); ++i) {
                    running_.insert(context->shown()[i].fingerprint);
                }
            }
        }
    }

    std::expected<Material, std::vector<config::Issue>> load() {
        for (std::size_t i = 0; i < snapshot_.listeners.size(); ++i) {
            const auto& tls = snapshot_.listeners[i].tls;
            material_.listeners.push_back(
                tls ? listener("listeners[" + std::to_string(i) + "].tls", *tls) : nullptr);
        }
        for (const auto& pool : snapshot_.pools) {
            material_.pools.push_back(
                pool.tls ? this->pool("pools." + pool.name + ".tls", *pool.tls) : nullptr);
        }
        if (!issues_.empty()) {
            return std::unexpected{std::move(issues_)};
        }
        material_.digest = texts_.digest();
        return std::move(material_);
    }

private:
    static config::Issue issue(std::string where, std::string message, std::string hint) {
        return {0, 0, std::move(where), std::move(message), std::move(hint)};
    }

    /// Null: reported.
    const SecretText* text(const std::string& where, const std::string& path) {
        const auto& read = texts_.get(path);
        if (read) {
            return &*read;
        }
        auto problem = issue(where, "cannot read " + path + ": " + read.error().message,
                             "put the file there, or mount its Secret");
        const bool tolerated = read.error().missing && options_.tolerates_missing;
        (tolerated ? material_.warnings : issues_).push_back(std::move(problem));
        return nullptr;
    }

    void report(const PairPaths& paths, const PairProblem& problem,
                std::vector<config::Issue>& where) {
        where.push_back(issue(paths.where + key_of(problem.file),
                              paths.path(problem.file) + " " + problem.message, problem.hint));
    }

    std::optional<Certificate> certificate(const PairPaths& paths) {
        const SecretText* const cert = text(paths.where + ".cert", paths.cert);
        const SecretText* const key = text(paths.where + ".key", paths.key);
        const SecretText* const ocsp =
            paths.ocsp ? text(paths.where + ".ocsp", *paths.ocsp) : nullptr;
        if (cert == nullptr || key == nullptr || (paths.ocsp && ocsp == nullptr)) {
            return std::nullopt;
        }
        auto loaded =
            load_certificate({cert->view(), key->view(),
                              ocsp == nullptr ? std::nullopt : std::optional(ocsp->view())},
                             options_.now);
        if (!loaded) {
            report(paths, loaded.error(), issues_);
            return std::nullopt;
        }
        for (const auto& warning : loaded->warnings) {
            report(paths, warning, material_.warnings);
        }
        if (const auto problem = check_dates(loaded->certificate, options_.now)) {
            const bool tolerated =
                options_.tolerates_dates || running_.contains(loaded->certificate.fingerprint);
            report(paths, *problem, tolerated ? material_.warnings : issues_);
            if (!tolerated) {
                return std::nullopt;
            }
        }
        return std::move(loaded->certificate);
    }

    std::string identity(const config::ListenerTls& tls) {
        std::string all = part(tls.min_version == config::TlsVersion::Tls13 ? "3" : "2") +
                          part(tls.max_version == config::TlsVersion::Tls13 ? "3" : "2") +
                          part(tls.client_auth == config::ClientAuth::Optional ? "o" : "r");
        for (const auto& cipher : tls.ciphers) {
            all += part(cipher);
        }
        for (const auto& pair : tls.certificates) {
            all += part(pair.cert) + part(content(pair.cert)) + part(content(pair.key)) +
                   part(pair.ocsp ? content(*pair.ocsp) : "-");
        }
        all += part(tls.client_ca ? content(*tls.client_ca) : "-");
        return FileTexts::digest(all);
    }

    std::string content(const std::string& path) {
        const auto& read = texts_.get(path);
        return read ? FileTexts::digest(read->view()) : std::string("?");
    }

    std::shared_ptr<const ServerContext> listener(const std::string& where,
                                                  const config::ListenerTls& tls) {
        const std::size_t issues_before = issues_.size();
        std::vector<Certificate> certificates;
        for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
            const auto& pair = tls.certificates[i];
            if (auto one = certificate({where + ".certificates[" + std::to_string(i) + "]",
                                        pair.cert, pair.key, pair.ocsp})) {
                certificates.push_back(std::move(*one));
            }
        }
        const SecretText* const ca =
            tls.client_ca ? text(where + ".client_ca", *tls.client_ca) : nullptr;
        const bool complete =
            certificates.size() == tls.certificates.size() && (!tls.client_ca || ca != nullptr);
        if (issues_.size() != issues_before || !complete) {
            return nullptr;
        }
        std::string identity = this->identity(tls);
        if (options_.running != nullptr) {
            for (const auto& context : options_.running->listeners) {
                if (context && context->identity() == identity) {
                    return context;
                }
            }
        }
        auto made = ServerContext::make(tls, std::move(certificates),
                                        ca == nullptr ? std::nullopt : std::optional(ca->view()),
                                        std::move(identity));
        if (!made) {
            return fail(where, tls.client_ca, made.error());
        }
        return std::move(*made);
    }

    std::nullptr_t fail(const std::string& where, const std::optional<std::string>& ca,
                        const SettingProblem& problem) {
        // What a file is said to be begins with its path; else it is said of the authorities.
        const bool of_ca =
            ca && !problem.message.starts_with('/') &&
            (problem.message.starts_with("holds") || problem.message.starts_with("is "));
        issues_.push_back(
            issue(where, of_ca ? *ca + " " + problem.message : problem.message, problem.hint));
        return nullptr;
    }

    std::shared_ptr<const ClientContext> pool(const std::string& where,
                                              const config::BackendTls& tls) {
        const std::size_t issues_before = issues_.size();
        std::optional<Certificate> shown;
        if (tls.cert && tls.key) {
            shown = certificate({where, *tls.cert, *tls.key, std::nullopt});
        }
        const SecretText* const ca = tls.ca ? text(where + ".ca", *tls.ca) : nullptr;
        const bool complete = (!tls.cert || shown) && (!tls.ca || ca != nullptr);
        if (issues_.size() != issues_before || !complete) {
            return nullptr;
        }
        std::string trust = FileTexts::digest(part(tls.server_name) + part(tls.verify ? "v" : "-") +
                                              part(tls.ca ? content(*tls.ca) : "-"));
        std::string identity = FileTexts::digest(
            part(trust) + part(tls.cert ? content(*tls.cert) + content(*tls.key) : "-"));
        if (options_.running != nullptr) {
            for (const auto& context : options_.running->pools) {
                if (context && context->identity() == identity) {
                    return context;
                }
            }
        }
        auto made =
            ClientContext::make(tls, ca == nullptr ? std::nullopt : std::optional(ca->view()),
                                std::move(shown), std::move(identity), std::move(trust));
        if (!made) {
            return fail(where, tls.ca, made.error());
        }
        return std::move(*made);
    }

    const config::Snapshot& snapshot_;
    const LoadOptions& options_;
    FileTexts texts_;
    std::set<std::string> running_;
    Material material_;
    std::vector<config::Issue> issues_;
};

}  // namespace

std::set<std::string> files_of(const config::Snapshot& snapshot) {
    std::set<std::string> paths;
    const auto add = [&paths](const std::optional<std::string>& path) {
        if (path) {
            paths.insert(*path);
        }
    };
    for (const auto& listener : snapshot.listeners) {
        if (!listener.tls) {
            continue;
        }
        for (const auto& pair : listener.tls->certificates) {
            paths.insert(pair.cert);
            paths.insert(pair.key);
            add(pair.ocsp);
        }
        add(listener.tls->client_ca);
    }
    for (const auto& pool : snapshot.pools) {
        if (pool.tls) {
            add(pool.tls->ca);
            add(pool.tls->cert);
            add(pool.tls->key);
        }
    }
    return paths;
}

std::expected<Material, std::vector<config::Issue>> load_material(const config::Snapshot& snapshot,
                                                                  const LoadOptions& options) {
    return Loader(snapshot, options).load();
}

}  // namespace rproxy::tls
