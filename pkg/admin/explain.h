#pragma once

#include "backends/health_tracker.h"
#include "balancing/method.h"
#include "base/ip_address.h"
#include "control/controller.h"
#include "http/method.h"
#include "http/reason.h"
#include "routing/route_table.h"

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Where a request would go and why, told without sending it: the routes, the client's address, the
/// cookie and the policy are asked exactly as for a request, but nothing is counted, drawn or
/// moved on. Pure: a Status in, an Explanation out. It names backends' addresses, so it is for the
/// admin port only.
namespace rproxy::admin {

/// The request that is asked about.
struct ExplainQuestion {
    std::string pool;  ///< Empty: the routes decide.
    std::string method{"GET"};
    std::string host;             ///< May have a port; empty: none, as in HTTP/1.0.
    std::string path{"/"};        ///< With or without a query.
    std::string peer{kLoopback};  ///< The address that the client connects from.
    std::vector<std::pair<std::string, std::string>> headers;

    static constexpr const char* kLoopback = "127.0.0.1";
    /// From the parameters of a URL: pool, client, path, host, method, and header (`Name: value`),
    /// which may come more than once. An error is a sentence that says what would be right.
    static std::expected<ExplainQuestion, std::string> parse(
        const std::multimap<std::string, std::string>& parameters);
};

struct RouteStep {
    std::string host;  ///< Empty: any.
    std::string path;
    std::string pool;
    routing::RouteTable::Verdict verdict{};
};

/// A backend of the pool as it stands in this choice.
struct Candidate {
    std::string name;
    std::string address;
    std::string_view state;        ///< As in /api/v1/backends, or `slow_start`.
    bool offered{false};           ///< The method chooses among these.
    std::vector<std::string> why;  ///< Why it is out, or is in with less or against its state.
    std::uint32_t weight{1};
    double effective_weight{1};
    std::uint32_t in_flight{0};
    std::uint32_t max_connections{0};  ///< 0: no limit.
    std::optional<double> score;
    double chance{0};
};

struct StickyVerdict {
    std::string cookie;
    std::string backend;  ///< That the client's cookie names; empty: none.
    bool followed{false};
    std::string why;
};

struct Explanation {
    ExplainQuestion question;
    std::string client;  ///< The address that counts, after trusted proxies were believed.
    std::uint64_t generation{0};
    double trial_share{0};    ///< Of the requests that go by a configuration on trial instead.
    std::string routed_path;  ///< What the routes are compared with.
    std::vector<RouteStep> routes;  ///< Empty if the question names the pool.
    std::string pool;               ///< That chooses; empty: none.
    std::string fallback_from;      ///< The pool that is all down, if `pool` stands in for it.
    balancing::Method method{};
    std::string_view selection;
    std::string hashed_by;  ///< In words; empty if the method does not hash.
    bool fail_open{false};
    bool all_down{false};
    std::optional<StickyVerdict> sticky;  ///< Only in a pool with `sticky`.
    std::string_view measure;             ///< What the scores are.
    std::vector<Candidate> candidates;    ///< In the order of the configuration.
    std::optional<std::size_t> pick;      ///< Of `candidates`; nothing: chance decides, or nobody.
    std::string_view decided_by;
    http::Reason reason{http::Reason::None};  ///< Of the answer of our own, if nobody is asked.
    std::string verdict;                      ///< One sentence.
};

/// An error tells that the question cannot be asked of this configuration (no such pool), or that
/// its request would be refused before it is routed.
std::expected<Explanation, std::string> explain(const control::Status& status,
                                                const ExplainQuestion& question,
                                                const backends::Moment& now);

std::string explain_json(const Explanation& explanation);
/// A few lines and a table, for a terminal.
std::string explain_text(const Explanation& explanation);

}  // namespace rproxy::admin
