#include "control/plan_tls.h"

#include <chrono>
#include <string>
#include <utility>

namespace rproxy::control {

namespace {

std::string hsts_value(const config::Hsts& hsts) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(hsts.max_age).count();
    return "max-age=" + std::to_string(seconds) +
           (hsts.include_subdomains ? "; includeSubDomains" : "") +
           (hsts.preload ? "; preload" : "");
}

std::shared_ptr<const runtime::ListenerRules> rules_of(
    const config::Listener& listener, std::shared_ptr<const tls::ServerContext> context) {
    if (!listener.tls && !listener.https_redirect) {
        return nullptr;
    }
    auto rules = std::make_shared<runtime::ListenerRules>();
    rules->https_redirect = listener.https_redirect;
    if (listener.tls) {
        rules->tls = std::move(context);
        rules->handshake = listener.tls->handshake;
        rules->hsts = listener.tls->hsts ? hsts_value(*listener.tls->hsts) : std::string();
        rules->subject_field =
            listener.tls->client_ca ? listener.tls->client_subject_header : std::string();
    }
    return rules;
}

}  // namespace

std::expected<tls::Material, std::vector<config::Issue>> PlanTls::load(
    const config::Snapshot& snapshot, const tls::Material& running, bool is_first) const {
    return tls::load_material(
        snapshot, {.now = loop_.wall_now(), .running = &running, .tolerates_dates = is_first});
}

void PlanTls::fill(runtime::Plan& plan, const tls::Material& material) {
    for (std::size_t i = 0; i < plan.pools.size(); ++i) {
        plan.pools[i].tls = material.pools[i];
    }
    bool any = false;
    for (std::size_t i = 0; i < plan.listeners.size(); ++i) {
        auto& listener = plan.listeners[i];
        listener.rules = rules_of(listener.config, material.listeners[i]);
        any = any || material.listeners[i] != nullptr;
        if (listener.rules && !listener.rules->subject_field.empty()) {
            plan.certificate_fields.push_back(listener.rules->subject_field);
        }
    }
    if (any && !ticket_keys_) {
        ticket_keys_ = tls::TicketKeys::make();
        loop_.arm(ticket_timer_, loop_.now() + tls::ServerContext::kTicketKeyInterval);
    }
    plan.ticket_keys = any ? ticket_keys_ : nullptr;
}

void PlanTls::renew_ticket_keys() {
    ticket_keys_ = tls::TicketKeys::rotated(*ticket_keys_);
    loop_.arm(ticket_timer_, loop_.now() + tls::ServerContext::kTicketKeyInterval);
    on_new_keys_();
}

}  // namespace rproxy::control
