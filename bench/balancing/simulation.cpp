#include "simulation.h"

#include "base/hash.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <queue>
#include <string>

namespace rproxy::simulation {

namespace {

/// A proxy takes a backend out after so many refusals in a row, or when its health check is due.
constexpr std::uint32_t kFall = 3;
constexpr Duration kCheckDelay = 1s;
constexpr std::uint32_t kRetries = 2;

enum class Kind : std::uint8_t { Arrival, Finish, Timeout, Down, DownNoticed, Up, UpNoticed };

struct Event {
    Duration at;
    std::uint64_t number;  ///< Events of one moment happen in the order they were planned.
    Kind kind;
    std::uint32_t subject;      ///< A request's or a backend's index.
    std::uint32_t incarnation;  ///< Of the request: a stale event is told by it.
    friend bool operator>(const Event& a, const Event& b) {
        return a.at != b.at ? a.at > b.at : a.number > b.number;
    }
};

struct Request {
    Duration arrived{0};
    std::uint64_t hash{0};
    std::uint32_t proxy{0};
    std::uint32_t backend{0};
    std::uint32_t incarnation{0};  ///< Grows whenever what was planned for it no longer holds.
    std::uint32_t retries{0};
    bool abandoned{false};  ///< Its client has gone; the backend still works on it.
    balancing::Excluded tried;
};

struct Proxy {
    std::deque<balancing::Load> loads;
    std::vector<balancing::Member> members;
    std::vector<std::uint32_t> refusals;  ///< In a row, for each backend.
    balancing::Cursor cursor{0};
    std::unique_ptr<const balancing::Policy> policy;
    bool outdated{false};  ///< Somebody's eligibility changed since `policy` was built.
};

struct Backend {
    const BackendModel* model{nullptr};
    bool up{true};
    std::vector<std::uint32_t> serving;
    std::deque<std::uint32_t> waiting;
    Duration busy{0};  ///< Of all slots together.
    std::uint32_t most_in_flight{0};
};

class Run {
public:
    explicit Run(const Setup& setup) : setup_(setup), rng_(setup.seed) {
        for (const BackendModel& model : setup.backends) {
            backends_.emplace_back().model = &model;
        }
        for (std::uint32_t i = 0; i < setup.proxies; ++i) {
            add_proxy();
        }
    }

    Outcome play() {
        for (std::uint32_t backend = 0; backend < backends_.size(); ++backend) {
            for (const Window& window : backends_[backend].model->down) {
                plan(window.from, Kind::Down, backend);
                plan(window.from + kCheckDelay, Kind::DownNoticed, backend);
                plan(window.to, Kind::Up, backend);
                plan(window.to + kCheckDelay, Kind::UpNoticed, backend);
            }
        }
        plan(next_arrival(), Kind::Arrival, 0);
        while (!events_.empty()) {
            const Event event = events_.top();
            events_.pop();
            now_ = event.at;
            handle(event);
        }
        return outcome();
    }

private:
    void add_proxy() {
        Proxy& proxy = proxies_.emplace_back();
        for (std::size_t i = 0; i < backends_.size(); ++i) {
            proxy.members.push_back({.id_hash = stable_hash("10.0.0.1:" + std::to_string(i)),
                                     .weight = backends_[i].model->weight,
                                     .load = &proxy.loads.emplace_back()});
        }
        proxy.refusals.resize(backends_.size());
        proxy.cursor = rng_.next() >> 32U;
        rebuild(proxy);
    }

    /// At the next choice, so that changes of one moment cost one table.
    void rebuild(Proxy& proxy) const {
        proxy.outdated = false;
        proxy.policy = balancing::make_policy(setup_.method, proxy.members, proxy.cursor);
    }

    void plan(Duration at, Kind kind, std::uint32_t subject, std::uint32_t incarnation = 0) {
        events_.push({.at = at,
                      .number = ++planned_,
                      .kind = kind,
                      .subject = subject,
                      .incarnation = incarnation});
    }

    Duration next_arrival() {
        const double gap = -std::log(1 - rng_.unit()) / setup_.requests_per_second;
        return now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(gap));
    }

    void handle(const Event& event) {
        switch (event.kind) {
            case Kind::Arrival:
                arrive();
                break;
            case Kind::Finish:
                if (requests_[event.subject].incarnation == event.incarnation) {
                    finish(event.subject);
                }
                break;
            case Kind::Timeout:
                if (requests_[event.subject].incarnation == event.incarnation) {
                    abandon(event.subject);
                }
                break;
            case Kind::Down:
                go_down(event.subject);
                break;
            case Kind::Up:
                backends_[event.subject].up = true;
                break;
            case Kind::DownNoticed:
                set_eligible(event.subject, false);
                break;
            case Kind::UpNoticed:
                set_eligible(event.subject, true);
                break;
        }
    }

    void arrive() {
        if (const Duration next = next_arrival(); next < setup_.length) {
            plan(next, Kind::Arrival, 0);
        }
        std::uint32_t id = 0;
        if (free_.empty()) {
            id = static_cast<std::uint32_t>(requests_.size());
            requests_.emplace_back();
        } else {
            id = free_.back();
            free_.pop_back();
        }
        Request& request = requests_[id];
        const std::uint32_t incarnation = request.incarnation + 1;
        request = Request{};
        request.incarnation = incarnation;
        request.arrived = now_;
        request.proxy = rng_.below(setup_.proxies);
        const double place = rng_.unit();
        request.hash =
            stable_hash(std::to_string(static_cast<std::uint64_t>(place * place * setup_.clients)));
        assign(id);
        if (setup_.timeout && setup_.gives_up) {
            plan(now_ + *setup_.timeout, Kind::Timeout, id, incarnation);
        }
    }

    /// Finds a backend that takes the request, or fails it.
    void assign(std::uint32_t id) {
        Request& request = requests_[id];
        Proxy& proxy = proxies_[request.proxy];
        while (true) {
            if (proxy.outdated) {
                rebuild(proxy);
            }
            const auto slot = proxy.policy->pick({.hash = request.hash,
                                                  .now = MonotonicTime{now_},
                                                  .rng = rng_,
                                                  .excluded = request.tried});
            if (!slot) {
                fail(id);
                return;
            }
            request.backend = *slot;
            if (backends_[*slot].up) {
                break;
            }
            refuse(proxy, *slot);
            if (request.retries++ == kRetries || !request.tried.add(*slot)) {
                fail(id);
                return;
            }
        }
        proxy.refusals[request.backend] = 0;
        count(proxy, request.backend, +1);
        Backend& backend = backends_[request.backend];
        if (backend.serving.size() < backend.model->slots) {
            serve(backend, id);
        } else {
            backend.waiting.push_back(id);
        }
        const std::size_t in_flight = backend.serving.size() + backend.waiting.size();
        backend.most_in_flight =
            std::max(backend.most_in_flight, static_cast<std::uint32_t>(in_flight));
    }

    static void count(Proxy& proxy, std::uint32_t slot, int change) {
        proxy.loads[slot].in_flight.fetch_add(static_cast<std::uint32_t>(change),
                                              std::memory_order_relaxed);
        proxy.policy->load_changed(slot);
    }

    void refuse(Proxy& proxy, std::uint32_t slot) {
        if (++proxy.refusals[slot] == kFall && proxy.members[slot].eligible) {
            proxy.members[slot].eligible = false;
            proxy.outdated = true;
        }
    }

    void set_eligible(std::uint32_t slot, bool eligible) {
        for (Proxy& proxy : proxies_) {
            if (proxy.members[slot].eligible != eligible) {
                proxy.members[slot].eligible = eligible;
                proxy.refusals[slot] = 0;
                proxy.outdated = true;
            }
        }
    }

    void serve(Backend& backend, std::uint32_t id) {
        double factor = backend.model->slowness;
        if (backend.model->slow && now_ >= backend.model->slow->from &&
            now_ < backend.model->slow->to) {
            factor *= backend.model->slow_factor;
        }
        const auto time = std::chrono::duration_cast<Duration>(setup_.service(rng_) * factor);
        backend.busy += time;
        backend.serving.push_back(id);
        plan(now_ + time, Kind::Finish, id, requests_[id].incarnation);
    }

    void finish(std::uint32_t id) {
        Request& request = requests_[id];
        Backend& backend = backends_[request.backend];
        std::erase(backend.serving, id);
        if (!backend.waiting.empty()) {
            serve(backend, backend.waiting.front());
            backend.waiting.pop_front();
        }
        if (!request.abandoned) {
            settle(request);
            record(request, !setup_.timeout || now_ - request.arrived <= *setup_.timeout);
        }
        release(id);
    }

    /// The proxy's side of the end of a request.
    void settle(const Request& request) {
        Proxy& proxy = proxies_[request.proxy];
        observe_latency(proxy.loads[request.backend], now_ - request.arrived, MonotonicTime{now_});
        count(proxy, request.backend, -1);
    }

    void abandon(std::uint32_t id) {
        Request& request = requests_[id];
        if (request.abandoned) {
            return;
        }
        settle(request);
        record(request, false);
        request.abandoned = true;
    }

    void go_down(std::uint32_t slot) {
        Backend& backend = backends_[slot];
        backend.up = false;
        std::vector<std::uint32_t> cut(backend.waiting.begin(), backend.waiting.end());
        cut.insert(cut.end(), backend.serving.begin(), backend.serving.end());
        backend.waiting.clear();
        backend.serving.clear();
        for (const std::uint32_t id : cut) {
            Request& request = requests_[id];
            if (request.abandoned) {
                release(id);
                continue;
            }
            ++request.incarnation;
            if (setup_.timeout && setup_.gives_up) {
                plan(request.arrived + *setup_.timeout, Kind::Timeout, id, request.incarnation);
            }
            count(proxies_[request.proxy], slot, -1);
            if (request.retries++ == kRetries || !request.tried.add(slot)) {
                fail(id);
            } else {
                assign(id);
            }
        }
    }

    void fail(std::uint32_t id) {
        record(requests_[id], false);
        release(id);
    }

    void record(const Request& request, bool success) {
        if (request.arrived < setup_.warm_up) {
            return;
        }
        ++outcome_.requests;
        if (success) {
            latencies_.push_back(std::chrono::duration<double>(now_ - request.arrived).count());
        } else {
            ++outcome_.failures;
        }
    }

    void release(std::uint32_t id) {
        ++requests_[id].incarnation;
        free_.push_back(id);
    }

    double percentile(double share) {
        if (latencies_.empty()) {
            return 0;
        }
        const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(latencies_.size()));
        const auto nth = latencies_.begin() + at;
        std::nth_element(latencies_.begin(), nth, latencies_.end());
        return *nth;
    }

    Outcome outcome() {
        double sum = 0;
        for (const double latency : latencies_) {
            sum += latency;
        }
        outcome_.mean_seconds =
            sum / static_cast<double>(std::max<std::size_t>(1, latencies_.size()));
        outcome_.p50 = percentile(0.5);
        outcome_.p99 = percentile(0.99);
        outcome_.p999 = percentile(0.999);
        double busy = 0;
        double slots = 0;
        double busiest = 0;
        for (const Backend& backend : backends_) {
            const auto mine = static_cast<double>(backend.busy.count());
            const auto wide = static_cast<double>(backend.model->slots);
            busy += mine;
            slots += wide;
            busiest = std::max(busiest, mine / wide);
            outcome_.most_in_flight = std::max(outcome_.most_in_flight, backend.most_in_flight);
        }
        outcome_.busiest_to_mean = busiest / (busy / slots);
        return outcome_;
    }

    const Setup& setup_;
    XoshiroRng rng_;
    Duration now_{0};
    std::uint64_t planned_{0};
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::deque<Proxy> proxies_;  ///< Cursors do not move.
    std::vector<Backend> backends_;
    std::vector<Request> requests_;
    std::vector<std::uint32_t> free_;
    std::vector<double> latencies_;
    Outcome outcome_;
};

}  // namespace

Outcome run(const Setup& setup) {
    return Run(setup).play();
}

}  // namespace rproxy::simulation
