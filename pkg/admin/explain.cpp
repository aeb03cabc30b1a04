#include "admin/explain.h"

#include "base/duration.h"
#include "base/strings.h"
#include "http/forwarding.h"
#include "http/head.h"
#include "http/syntax.h"
#include "http/target.h"
#include "proxy/hash_key.h"
#include "proxy/stickiness.h"
#include "runtime/plan.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace rproxy::admin {

namespace {

using Parameters = std::multimap<std::string, std::string>;

std::expected<std::pair<std::string, std::string>, std::string> parse_header(
    const std::string& text) {
    const auto colon = text.find(':');
    const std::string name = text.substr(0, colon);
    if (colon == std::string::npos || !http::is_token(name)) {
        return std::unexpected{"header: '" + text + "' is not of the form 'Name: value'"};
    }
    const std::string value(trim(std::string_view(text).substr(colon + 1)));
    const bool clean = std::ranges::none_of(
        value, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; });
    if (!clean) {
        return std::unexpected{"header: the value of '" + name + "' has control characters"};
    }
    if (equals_ignoring_case(name, "host")) {
        return std::unexpected{std::string("header: give the host by the parameter 'host'")};
    }
    return std::pair{name, value};
}

std::string unknown_parameter(const std::string& name) {
    const std::vector<std::string> known{"pool", "client", "path", "header", "host", "method"};
    const auto nearest = nearest_word(name, known);
    return "unknown parameter '" + name + "'" +
           (nearest ? ", did you mean '" + *nearest + "'?"
                    : ": there are pool, client, path, header, host and method");
}

std::optional<std::string> check(const ExplainQuestion& question) {
    if (!IpAddress::parse(question.peer)) {
        return "client: '" + question.peer + "' is not an IPv4 or IPv6 address";
    }
    if (!http::is_token(question.method)) {
        return "method: '" + question.method + "' is no HTTP method";
    }
    if (!question.host.empty() && !http::is_valid_host(question.host)) {
        return "host: '" + question.host + "' is neither a host nor host:port";
    }
    if (question.path.empty() || !http::is_visible_ascii(question.path)) {
        return std::string("path: give it as in a request line, percent-encoded, such as /a%20b");
    }
    return std::nullopt;
}

std::string remaining(WallTime until, WallTime now) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(until - now);
    return format_duration(std::max(left, std::chrono::seconds{0}));
}

/// Why a backend is not offered, as the words of the configuration and of health have it.
std::string why_not_offered(const control::BackendStatus& backend, const control::PoolStatus& pool,
                            WallTime now) {
    using backends::State;
    switch (backend.state) {
        case State::Draining:
            return "draining: `state: drain` in the configuration";
        case State::Disabled:
            return "disabled: `state: disabled` in the configuration";
        case State::Ejected:
            return "ejected for failing traffic" +
                   (backend.ejected_until ? ", " + remaining(*backend.ejected_until, now) + " to go"
                                          : std::string{});
        case State::Down:
            if (backend.held_until && *backend.held_until > now) {
                return "down, held for flapping for another " + remaining(*backend.held_until, now);
            }
            return "down" + (backend.facts.last_check && !backend.facts.last_check->detail.empty()
                                 ? ": last check said " + backend.facts.last_check->detail
                                 : std::string{});
        case State::Unknown:
            return pool.fail_open ? "not checked yet" : "not checked yet, and others are up";
        case State::Up:
            break;
    }
    return backend.weight == 0 ? "weight 0" : "not taken up by the choice yet";
}

bool is_full(const Candidate& candidate) {
    return candidate.max_connections != 0 && candidate.in_flight >= candidate.max_connections;
}

/// A backend that is offered may still be so for a reason, or with less than its weight.
void note_offered(Candidate& candidate, const control::BackendStatus& backend,
                  const control::PoolStatus& pool) {
    if (is_full(candidate)) {
        candidate.why.push_back("full: " + std::to_string(candidate.in_flight) + " of " +
                                std::to_string(candidate.max_connections) + " requests in flight");
    }
    if (pool.fail_open) {
        candidate.why.emplace_back("tried although it is " +
                                   std::string(backends::to_string(backend.state)) +
                                   ", since nothing is up (when_all_down: try_anyway)");
    } else if (backend.state == backends::State::Unknown) {
        candidate.why.emplace_back("not checked yet, and nothing is up");
    }
    if (backend.slow_start) {
        candidate.why.emplace_back("slow start: its weight still grows");
    }
}

std::vector<Candidate> candidates_of(const control::PoolStatus& pool, const runtime::PoolPlan& plan,
                                     WallTime now) {
    std::vector<Candidate> candidates;
    // A trial's backends come after these and are not offered here.
    for (std::uint32_t slot = 0; slot < plan.backends.size(); ++slot) {
        const auto& backend = pool.backends[slot];
        Candidate candidate;
        candidate.name = backend.name;
        candidate.address = backend.address;
        candidate.state = backend.slow_start ? "slow_start" : backends::to_string(backend.state);
        candidate.weight = backend.weight;
        candidate.effective_weight = backend.effective_weight;
        candidate.in_flight = backend.backend->load().in_flight.load(std::memory_order_relaxed);
        candidate.max_connections = plan.backends[slot].max_connections;
        candidate.offered = pool.policy->policy->offers(slot);
        if (candidate.offered) {
            note_offered(candidate, backend, pool);
        } else {
            candidate.why.push_back(why_not_offered(backend, pool, now));
        }
        candidates.push_back(std::move(candidate));
    }
    return candidates;
}

/// The request as the parser would have made it; owns what the views show.
struct SyntheticRequest {
    explicit SyntheticRequest(const ExplainQuestion& the_question) : question(the_question) {
        head.method_text = question.method;
        head.method = http::parse_method(question.method);
        head.target = question.path;
        // Only HTTP/1.0 may come without a host.
        head.version = question.host.empty() ? http::Version::Http10 : http::Version::Http11;
        if (!question.host.empty()) {
            head.fields.push_back({"Host", question.host, http::FieldId::Host});
        }
        for (const auto& [name, value] : question.headers) {
            head.fields.push_back({name, value, http::classify(name)});
        }
    }
    const ExplainQuestion& question;
    http::RequestHead head;
    http::Target target;
    http::ClientIdentity client;
};

StickyVerdict judge_cookie(const runtime::StickyCookies& cookies, const SyntheticRequest& request,
                           const balancing::Policy& policy, const balancing::Excluded& excluded,
                           std::vector<Candidate>& candidates, std::optional<std::size_t>& pick) {
    StickyVerdict verdict{cookies.name(), {}, false, "the request has no such cookie"};
    for (const http::Field& field : request.head.fields) {
        if (field.id != http::FieldId::Cookie) {
            continue;
        }
        http::for_each_cookie(field.value, cookies.name(), [&](std::string_view value) {
            const auto slot = cookies.slot_of(value);
            if (slot && verdict.backend.empty()) {
                verdict.backend = candidates[*slot].name;
                verdict.why = is_full(candidates[*slot])
                                  ? "it is full: the method chooses, and a new cookie is sent"
                                  : "it is not offered: the method chooses, and a new cookie is "
                                    "sent";
            } else if (verdict.backend.empty()) {
                verdict.why = "it names no backend of this pool: the method chooses";
            }
            return true;
        });
    }
    if (const auto slot = proxy::sticky_slot(cookies, request.head.fields, policy, excluded)) {
        verdict.backend = candidates[*slot].name;
        verdict.followed = true;
        verdict.why = "the cookie comes before the method";
        pick = *slot;
    }
    return verdict;
}

std::string_view selection_words(config::SelectionBy by) {
    switch (by) {
        case config::SelectionBy::Request:
            return "request";
        case config::SelectionBy::Connection:
            return "connection";
        case config::SelectionBy::Interval:
            return "interval";
    }
    return "request";
}

std::string hashed_by(const config::Pool& pool, const proxy::HashKey& key) {
    using Source = config::HashOn::Source;
    const bool by_content = pool.method == balancing::Method::ConsistentHash;
    if (!by_content && pool.method != balancing::Method::IpHash) {
        return {};
    }
    switch (key.source) {
        case Source::Path:
            return "the path";
        case Source::Header:
            return "the header " + pool.hash_on.name;
        case Source::Cookie:
            return "the cookie " + pool.hash_on.name;
        case Source::ClientIp:
            break;
    }
    const bool stands_in = by_content && pool.hash_on.source != Source::ClientIp;
    return stands_in
               ? "the client's address, for the request has no " +
                     std::string(pool.hash_on.source == Source::Header ? "header " : "cookie ") +
                     pool.hash_on.name
               : "the client's address";
}

void conclude(Explanation& out, const control::PoolStatus& pool, const runtime::PoolPlan& plan) {
    if (out.pick) {
        const Candidate& picked = out.candidates[*out.pick];
        out.verdict = "goes to " + picked.name;
        if (picked.name != picked.address) {
            out.verdict += " (" + picked.address + ")";
        }
        return;
    }
    const auto likeliest = std::ranges::max_element(out.candidates, {}, &Candidate::chance);
    if (likeliest != out.candidates.end() && likeliest->chance > 0) {
        const auto possible = std::ranges::count_if(
            out.candidates, [](const Candidate& candidate) { return candidate.chance > 0; });
        out.verdict = "goes to one of " + std::to_string(possible) + " backends by chance";
        return;
    }
    const bool full = std::ranges::any_of(out.candidates, [](const Candidate& candidate) {
        return candidate.offered && is_full(candidate);
    });
    const auto waiting = pool.state->waiting.load(std::memory_order_relaxed);
    if (full && waiting < plan.config.queue.limit) {
        out.verdict = "waits for a free slot for up to " +
                      format_duration(plan.config.queue.timeout) + ", as number " +
                      std::to_string(waiting + 1) + " of at most " +
                      std::to_string(plan.config.queue.limit);
        return;
    }
    out.reason = full ? http::Reason::QueueFull : http::Reason::NoHealthyBackend;
}

void choose(Explanation& out, const control::Status& status, std::size_t index,
            const SyntheticRequest& request, const backends::Moment& now) {
    const control::PoolStatus& pool = status.pools[index];
    const runtime::PoolPlan& plan = status.plan->pools[index];
    const balancing::Policy& policy = *pool.policy->policy;
    out.pool = pool.name;
    out.method = pool.method;
    out.selection = selection_words(pool.selection);
    out.fail_open = pool.policy->fail_open;
    out.all_down = pool.policy->all_down;
    out.candidates = candidates_of(pool, plan, now.wall);
    // A request finds them full one after the other; asked all at once the answer is the same.
    balancing::Excluded excluded;
    for (std::uint32_t slot = 0; slot < out.candidates.size(); ++slot) {
        if (out.candidates[slot].offered && is_full(out.candidates[slot]) && !excluded.add(slot)) {
            break;
        }
    }
    const auto key =
        proxy::hash_key(plan.config, request.target, request.head.fields, request.client.address);
    out.hashed_by = hashed_by(plan.config, key);
    const auto told = policy.explain({key.hash, now.monotonic, excluded});
    out.measure = told.measure;
    out.decided_by = told.decided_by;
    for (const auto& standing : told.ranked) {
        Candidate& candidate = out.candidates[standing.slot];
        candidate.score = standing.score;
        candidate.chance = standing.chance;
        if (!standing.note.empty()) {
            candidate.why.emplace_back(standing.note);
        }
    }
    if (const auto slot = told.certain()) {
        out.pick = *slot;
    }
    if (plan.sticky) {
        out.sticky =
            judge_cookie(*plan.sticky, request, policy, excluded, out.candidates, out.pick);
        if (out.sticky->followed) {
            out.decided_by = "cookie";
            for (Candidate& candidate : out.candidates) {
                candidate.chance = &candidate == &out.candidates[*out.pick] ? 1 : 0;
            }
        }
    }
    conclude(out, pool, plan);
}

std::optional<std::size_t> pool_named(const control::Status& status, const std::string& name) {
    const auto found = std::ranges::find(status.pools, name, &control::PoolStatus::name);
    return found == status.pools.end() || !found->policy
               ? std::nullopt
               : std::optional(static_cast<std::size_t>(found - status.pools.begin()));
}

/// The pool by the routes, noting each of them.
std::optional<std::size_t> route(Explanation& out, const runtime::Plan& plan,
                                 const http::Target& target) {
    std::optional<std::size_t> pool;
    for (auto& step : plan.routes.explain(target.host, out.routed_path)) {
        if (step.verdict == routing::RouteTable::Verdict::Matched) {
            pool = step.pool;
        }
        out.routes.push_back({std::move(step.host), std::move(step.path),
                              plan.pools[step.pool].config.name, step.verdict});
    }
    return pool;
}

void answer_ourselves(Explanation& out) {
    const auto& answer = http::info(out.reason);
    out.verdict = "gets " + std::to_string(answer.status) + " " + std::string(answer.code) + ": " +
                  std::string(answer.text);
}

}  // namespace

std::expected<ExplainQuestion, std::string> ExplainQuestion::parse(const Parameters& parameters) {
    ExplainQuestion question;
    const std::array<std::pair<std::string_view, std::string*>, 5> known{
        {{"pool", &question.pool},
         {"client", &question.peer},
         {"path", &question.path},
         {"host", &question.host},
         {"method", &question.method}}};
    for (const auto& [name, value] : parameters) {
        if (name == "header") {
            auto header = parse_header(value);
            if (!header) {
                return std::unexpected{header.error()};
            }
            question.headers.push_back(std::move(*header));
            continue;
        }
        const auto* const found = std::ranges::find(
            known, std::string_view(name), &std::pair<std::string_view, std::string*>::first);
        if (found == known.end()) {
            return std::unexpected{unknown_parameter(name)};
        }
        if (parameters.count(name) > 1) {
            return std::unexpected{"parameter '" + name + "' is given twice"};
        }
        *found->second = value;
    }
    if (auto problem = check(question)) {
        return std::unexpected{*problem};
    }
    return question;
}

std::expected<Explanation, std::string> explain(const control::Status& status,
                                                const ExplainQuestion& question,
                                                const backends::Moment& now) {
    Explanation out;
    out.question = question;
    out.client = question.peer;
    out.generation = status.generation;
    out.trial_share = status.rollout ? status.rollout->share : 0;
    if (!status.plan || status.generation == 0) {
        out.reason = http::Reason::NoConfig;
        answer_ourselves(out);
        return out;
    }
    SyntheticRequest request(question);
    const auto target = http::parse_target(request.head);
    if (!target) {
        return std::unexpected{"such a request is refused: " +
                               std::string(http::to_string(target.error()))};
    }
    request.target = *target;
    const auto peer = IpAddress::parse(question.peer).value_or(IpAddress{});
    request.client =
        http::identify_client(peer, status.plan->snapshot->trusted_proxies, request.head.fields);
    out.client = request.client.address.to_string();
    const std::string_view path = target->path == "*" ? "/" : target->path;
    out.routed_path = http::normalized_path(path);

    std::optional<std::size_t> pool;
    if (question.pool.empty()) {
        pool = route(out, *status.plan, *target);
    } else {
        pool = pool_named(status, question.pool);
        if (!pool) {
            return std::unexpected{"pool: there is no pool '" + question.pool + "'"};
        }
    }
    if (!pool) {
        out.reason = http::Reason::NoRoute;
    } else if (status.plan->pools[*pool].backends.empty()) {
        out.pool = status.pools[*pool].name;
        out.reason = http::Reason::NoBackends;
    } else {
        const auto& fallback = status.plan->pools[*pool].fallback;
        if (status.pools[*pool].policy->all_down && fallback) {
            out.fallback_from = status.pools[*pool].name;
            pool = *fallback;
        }
        choose(out, status, *pool, request, now);
    }
    if (out.reason != http::Reason::None) {
        answer_ourselves(out);
    }
    return out;
}

}  // namespace rproxy::admin
